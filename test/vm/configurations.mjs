/**
 * Which tests run in the machines of test/vm, and with what around them.
 */

/** Test files of test/live that say something about cgroups; the others have little to do with the machine they run on. */
const CGROUPS = ['limits', 'pause', 'cgroup', 'cycles', 'update', 'events'];

/** Tests of test/live that need the whole project around them, which is not in the machine. */
const NOT_IN_THE_MACHINE = ['conformance', 'executable'];

/** What says something about the cgroups of an ordinary user. */
const CGROUPS_OF_A_USER = ['limits', 'pause', 'update'];
/** All that an ordinary user can do: the other tests make devices, mounts and users as only root may, or join what is root's. */
const OF_A_USER = [
  ...CGROUPS_OF_A_USER,
  'bad-input',
  'callers',
  'callers-resources',
  'created',
  'cycles',
  'events',
  'exec',
  'hooks',
  'intel-rdt',
  'lifecycle',
  'ps',
  'rootfs',
  'words',
];

/** What depends on the architecture and needs no container: system calls through koffi, init itself, filters. */
const UNITS = ['container', 'init', 'seccomp', 'sys'];

/** Tests of test/engines of engines that are in the machine; those that bring surroundings of their own are not. */
const ENGINE_TESTS = ['ctr', 'docker', 'podman-isolation', 'podman-rootless', 'podman-run', 'shim-tsrun'];

/** Debian's packages of those engines, and of what they call. */
const ENGINE_PACKAGES = [
  'aardvark-dns',
  'buildah',
  'conmon',
  'containerd',
  'containernetworking-plugins',
  'crun',
  'docker.io',
  'fuse-overlayfs',
  'golang-github-containers-common',
  'iptables',
  'netavark',
  'podman',
  'slirp4netns',
  'tini',
];

/** What needs CRIU. */
const CHECKPOINTS = ['checkpoint', 'checkpoint-options', 'checkpoint-failures'];

/** CRIU with what it calls, and engines that save containers by it. */
const CRIU_PACKAGES = [
  'conmon',
  'containerd',
  'criu',
  'golang-github-containers-common',
  'iptables',
  'netavark',
  'podman',
];

/**
 * The kinds of machine: what is installed in it besides, and how many tests run at a time. Engines have a whole machine to themselves.
 * @type {Readonly<Record<'plain' | 'engines' | 'criu', { readonly packages: readonly string[], readonly parallel: number }>>}
 */
export const KINDS = {
  plain: { packages: [], parallel: 2 },
  engines: { packages: ENGINE_PACKAGES, parallel: 1 },
  criu: { packages: CRIU_PACKAGES, parallel: 2 },
};

const NODE = { TSRUN: '/share/dist/bin/main.js' };
const EXECUTABLE = { TSRUN: '/share/dist/tsrun' };
/** Without runc, which is compared with where that does not take so long. */
const ENGINES = { ...EXECUTABLE, TSRUN_TEST_WHOLE_MACHINE: 'yes', TSRUN_TEST_RUNTIMES: 'tsrun,tsrun-shim' };

/**
 * @typedef {object} Configuration
 * @property {Readonly<Record<string, string>>} env
 * @property {readonly string[]} [folders] of the project's test folder; test/live by default
 * @property {readonly string[]} [only] of those folders; all by default
 * @property {readonly string[]} [without]
 * @property {readonly string[]} [own] tests of test/vm that are made for it
 * @property {true} [unasked] `--all` leaves it out
 * @property {keyof typeof KINDS} [kind] of the machine; `plain` by default
 */

/** @type {Readonly<Record<string, Configuration>>} */
const CONFIGURATIONS = {
  cgroupfs: { env: NODE, own: ['unified', 'delegation', 'apparmor', 'session'] },
  systemd: {
    env: { ...NODE, TSRUN_TEST_GLOBAL: '--systemd-cgroup' },
    // Its user has no session, whose systemd would make the cgroups.
    without: ['rootless'],
    own: ['unified', 'delegation', 'scope'],
  },
  rootless: {
    env: { ...NODE, TSRUN_TEST_GLOBAL: '--systemd-cgroup', TSRUN_TEST_USER: '1000' },
    only: OF_A_USER,
  },
  executable: { env: EXECUTABLE, unasked: true },
  'engines-systemd': {
    env: { ...ENGINES, TSRUN_TEST_CGROUP_MANAGER: 'systemd' },
    folders: ['engines'],
    only: ENGINE_TESTS,
    kind: 'engines',
  },
  'engines-cgroupfs': { env: ENGINES, folders: ['engines'], only: ['ctr', 'docker', 'shim-tsrun'], kind: 'engines' },
  'criu-cgroupfs': { env: EXECUTABLE, only: CHECKPOINTS, kind: 'criu' },
  'criu-systemd': { env: { ...EXECUTABLE, TSRUN_TEST_GLOBAL: '--systemd-cgroup' }, only: CHECKPOINTS, kind: 'criu' },
  // It shows that a test is right.
  'criu-runc': { env: { TSRUN: '/usr/sbin/runc' }, only: ['checkpoint', 'checkpoint-options'], kind: 'criu' },
  'criu-engines': { env: ENGINES, folders: ['engines'], only: ['podman-checkpoint'], kind: 'criu' },
  unit: { env: {}, folders: UNITS, unasked: true },
};

/**
 * @param {string} configuration
 * @param {readonly string[]} names
 */
const of = (configuration, names) => names.map((name) => `${configuration}:${name}`);

/**
 * What runs where nobody names anything: by default, and a part of it for a run of a few minutes.
 * @type {Readonly<Record<import('./architectures.mjs').ArchitectureName, Readonly<Record<'usual' | 'short', readonly string[]>>>>}
 */
const CHOICES = {
  amd64: {
    usual: [
      ...of('cgroupfs', [...CGROUPS, 'unified', 'delegation', 'apparmor', 'session']),
      ...of('systemd', [...CGROUPS, 'unified', 'delegation', 'scope']),
      ...of('rootless', CGROUPS_OF_A_USER),
      ...of('engines-systemd', ENGINE_TESTS),
      ...of('engines-cgroupfs', ['ctr']),
      ...of('criu-cgroupfs', CHECKPOINTS),
      ...of('criu-systemd', ['checkpoint']),
      ...of('criu-runc', ['checkpoint', 'checkpoint-options']),
      ...of('criu-engines', ['podman-checkpoint']),
    ],
    // Of each configuration what the others do not show.
    short: [
      ...of('cgroupfs', ['limits', 'delegation', 'apparmor', 'session']),
      ...of('systemd', ['cgroup', 'unified', 'delegation', 'scope']),
      ...of('rootless', ['pause']),
    ],
  },
  arm64: {
    usual: [
      ...of('executable', [
        'lifecycle',
        'exec',
        'process',
        'rootfs',
        'mounts',
        'namespaces',
        'devices',
        'seccomp',
        'seccomp-listener',
        'launcher',
        'planner-same',
        'terminal',
        'hooks',
        'rootless',
      ]),
      ...of('cgroupfs', ['lifecycle', 'library', 'limits', 'pause', 'apparmor']),
      ...of('systemd', ['cgroup', 'scope']),
      ...of('rootless', ['pause']),
      ...of('unit', ['sys/fd']),
    ],
    short: [...of('executable', ['lifecycle', 'seccomp', 'planner-same']), ...of('cgroupfs', ['limits'])],
  },
};

/**
 * @typedef {object} Job a test file in a configuration
 * @property {string} configuration
 * @property {string} name
 * @property {string} file of the test, relative to the project
 * @property {Readonly<Record<string, string>>} env
 * @property {keyof typeof KINDS} kind of the machine
 */

/**
 * Every test that a machine can run, in every configuration.
 * @param {readonly string[]} files relative to the project
 * @returns {Job[]}
 */
function possibleJobs(files) {
  return Object.entries(CONFIGURATIONS).flatMap(
    ([configuration, { env, folders = ['live'], only, without = [], own = [], kind = 'plain' }]) => {
      const isPossible = (/** @type {string} */ folder, /** @type {string} */ name) =>
        folder === 'vm'
          ? own.includes(name)
          : folders.includes(folder) &&
            !NOT_IN_THE_MACHINE.includes(name) &&
            !without.includes(name) &&
            (only?.includes(name) ?? true);
      return files.flatMap((file) => {
        const [, folder = '', base = ''] = /^test\/(\w+)\/(.*)\.test\.ts$/.exec(file) ?? [];
        const name = UNITS.includes(folder) ? `${folder}/${base}` : base;
        return isPossible(folder, name) ? [{ configuration, name, file, env, kind }] : [];
      });
    },
  );
}

/** Folders with tests that a machine can run. */
export const FOLDERS = ['live', 'vm', 'engines', ...UNITS];

/**
 * The tests to run.
 * @param {readonly string[]} files all tests of those folders, relative to the project
 * @param {object} choice
 * @param {import('./architectures.mjs').ArchitectureName} choice.architecture
 * @param {readonly string[]} choice.names test files, in every configuration that has them or in one
 * @param {'usual' | 'short' | 'all'} choice.extent where there are no names
 */
export function chooseJobs(files, { architecture, names, extent }) {
  const possible = possibleJobs(files);
  const isNamed = (/** @type {Job} */ { configuration, name }, /** @type {string} */ word) =>
    word === name || word === `${configuration}:${name}`;
  if (names.length === 0 && extent === 'all')
    return possible.filter(({ configuration }) => CONFIGURATIONS[configuration]?.unasked !== true);
  const words = names.length > 0 || extent === 'all' ? names : CHOICES[architecture][extent];
  const unknown = words.find((word) => !possible.some((job) => isNamed(job, word)));
  if (unknown !== undefined) throw new Error(`there is no test ${JSON.stringify(unknown)}`);
  return possible.filter((job) => words.some((word) => isNamed(job, word)));
}
