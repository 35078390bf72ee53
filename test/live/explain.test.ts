import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { setNamespace, setUserNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BaseConfig, type BundleOptions } from './support/rig.ts';
import { missingTools } from './support/surroundings.ts';
import { comparePlan, readTrace, type PlanStep } from './support/trace.ts';

interface Explanation {
  readonly programs: readonly { readonly name: string; readonly steps: readonly PlanStep[] }[];
  readonly cgroup: unknown;
  readonly warnings: readonly string[];
}

const RICH = (config: BaseConfig): void => {
  setNamespace(config, 'cgroup');
  setNamespace(config, 'time');
  config.linux.timeOffsets = { boottime: { secs: 10, nanosecs: 0 } };
  config.linux.sysctl = { 'net.ipv4.ip_forward': '1' };
  config.process.cwd = '/made';
  config.process.user = { uid: 1000, gid: 1000, additionalGids: [5] };
  config.mounts.push({ destination: '/data', type: 'bind', source: '/etc', options: ['rbind', 'ro', 'nosuid'] });
  config.mounts.push({ destination: '/scratch', type: 'tmpfs', source: 'tmpfs', options: ['ro', 'tmpcopyup'] });
};

const BUNDLES: Readonly<Record<string, BundleOptions>> = {
  'the template': {},
  'many features': { change: RICH },
  'a user namespace': {
    change: (config) => {
      setUserNamespace(config);
    },
  },
};

live('explain', async (t, rig) => {
  await t.test('prints every step with its label, without root', async (t) => {
    const bundle = rig.bundle({ change: RICH });
    chmodSync(rig.directory, 0o755);
    const asRoot = await rig.tsrun(['explain', '--steps', '--bundle', bundle]);
    expectSuccess(t, asRoot, 'explain');
    const asNobody = await rig.tsrun(['explain', '--steps', '--bundle', bundle], { uid: 65534 });
    expectSuccess(t, { ...asNobody, stderr: '' }, 'explain as nobody');
    for (const { stdout } of [asRoot, asNobody]) {
      t.match(stdout, /^cgroup\n/);
      const steps = stdout.split('\n').filter((line) => /^ +\d+ {2}/.test(line));
      t.ok(steps.length > 100, `${steps.length} steps`);
      t.strictSame(
        steps.filter((line) => !/ # \S/.test(line)),
        [],
        'each has a label',
      );
      t.match(stdout, /pivot_root\("\.", "\."\).*# make the rootfs the root {2}\(\/root\/path\)/);
      t.match(stdout, /execve\("\/usr\/local\/sbin\/true"/);
    }
    const { stdout } = await rig.tsrun(['explain', '--json', '--bundle', bundle]);
    const { programs } = JSON.parse(stdout) as Explanation;
    t.equal(
      programs.flatMap(({ steps }) => steps).length,
      asRoot.stdout.split('\n').filter((line) => /^ +\d+ {2}/.test(line)).length,
      'JSON has the same steps',
    );
    t.ok(programs.every(({ steps }) => steps.every((step) => step.label !== '' && ('call' in step || 'if' in step))));
    t.strictSame(rig.leftovers(), [], 'it makes nothing');
  });

  await t.test('says what the container is first, in a few lines', async (t) => {
    const bundle = rig.bundle({
      change: (config) => {
        RICH(config);
        config.linux.namespaces = [
          ...(config.linux.namespaces ?? []).filter(({ type }) => type !== 'ipc'),
          { type: 'ipc', path: '/proc/self/ns/ipc' },
        ];
        config.linux.resources = { ...config.linux.resources, pids: { limit: 77 } };
        config.hooks = { poststop: [{ path: '/bin/\u001btrue' }] };
        config.process.noNewPrivileges = false;
      },
    });
    const { stdout, ...result } = await rig.tsrun(['explain', '--bundle', bundle]);
    expectSuccess(t, { ...result, stdout }, 'explain');
    for (const wanted of [
      /^container "example" of the bundle "/,
      /namespaces +its own: .*pid/,
      /joined: ipc \(\/proc\/self\/ns\/ipc\)/,
      /the host's: user/,
      /uid 1000, gid 1000, groups 5/,
      /capabilities +bounding/,
      /├─ \/proc/,
      /└─ \/scratch +tmpfs \(ro, tmpcopyup\)/,
      /pids\.max = 77/,
      /seccomp +none: every system call is allowed/,
      /poststop: "\/bin\/\\u001btrue"/,
      /weak spots .*\/process\/noNewPrivileges/s,
      /to make it +create the process: \d+ steps/,
    ])
      t.match(stdout, wanted);
    t.ok(stdout.split('\n').length < 50, 'a few lines');
    t.notMatch(stdout, /openat2|\u001b/, 'no system calls, nothing that steers a terminal');
  });

  await t.test('--steps has sections that hold what they say', async (t) => {
    const bundle = rig.bundle({ change: RICH });
    const { stdout } = await rig.tsrun(['explain', '--steps', '--bundle', bundle]);
    const sections = stdout.split(/^ {2}(?=\S[^#]*:$)/m);
    const holds = (title: string, step: RegExp): void => {
      t.ok(
        sections.some((section) => section.startsWith(`${title}:\n`) && step.test(section)),
        `${title}: ${step}`,
      );
    };
    holds('mounts', /# mount "tmpfs" on "\/dev"/);
    holds('root of the process', /pivot_root\("\.", "\."\)/);
    holds('masked paths', /\/linux\/maskedPaths\/0/);
    holds('user, groups and capabilities', /setresuid/);
    const home = sections.filter((section) => section.startsWith('home directory:'));
    t.ok(
      home.length > 0 && home.every((section) => !/pivot_root|mount\(/.test(section)),
      'no mounts of the home directory',
    );
  });

  await t.test('--diff says what another bundle or configuration changes, and nothing of where it lies', async (t) => {
    const [one, two] = [rig.bundle({ change: RICH }), rig.bundle({ change: RICH })];
    const same = await rig.tsrun(['explain', '--diff', two, '--bundle', one]);
    expectSuccess(t, same, 'explain --diff');
    t.equal(same.stdout, 'no difference\n');
    const config = JSON.parse(readFileSync(`${one}/config.json`, 'utf8')) as BaseConfig;
    config.linux.namespaces = (config.linux.namespaces ?? []).filter(({ type }) => type !== 'ipc');
    config.mounts.unshift({ destination: '/first', type: 'tmpfs', source: 'tmpfs' });
    config.process.user = { uid: 7, gid: 7 };
    const other = rig.fresh('other.json');
    writeFileSync(other, JSON.stringify(config));
    const { stdout } = await rig.tsrun(['explain', '--diff', other, '--bundle', one]);
    t.match(stdout, /^namespaces\n {2}- its own: .*ipc.*\n/m);
    t.match(stdout, /^mounts\n {2}\+ .*\/first +tmpfs$/m);
    t.match(stdout, /^steps: mounts\n.* {2}\+ mount\("tmpfs", "\.".*# mount "tmpfs" on "\/first"$/ms);
    t.match(stdout, /- setresuid\(1000.*\+ setresuid\(7/s);
    t.notMatch(stdout, /\/proc"|maskedPaths/, 'what is the same is not there');
    const absent = await rig.tsrun(['explain', '--diff', `${other}.absent`, '--bundle', one]);
    expectFailure(t, absent, { message: '.absent' });
  });

  await t.test('what `run` executes is what `explain` prints', { skip: missingTools('strace') }, async (t) => {
    for (const [name, options] of Object.entries(BUNDLES)) {
      const bundle = rig.bundle({ args: ['/bin/true'], ...options });
      const id = rig.id('traced');
      const explained = await rig.tsrun(['explain', '--json', '--bundle', bundle, id]);
      expectSuccess(t, explained, 'explain');
      const { programs } = JSON.parse(explained.stdout) as Explanation;
      const log = rig.fresh('strace');
      // What waits in the foreground lends its own descriptors, which are left as they are; that is not create's way.
      const result = await rig.tsrun(['run', '--detach', '--bundle', bundle, id], {
        under: ['strace', '-f', '-qq', '-s', '4096', '-o', log],
      });
      expectSuccess(t, result, 'run under strace');
      const calls = readTrace(readFileSync(log, 'utf8'));
      const plan = programs.flatMap(({ steps }) => steps);
      const { problems, executed, planned } = comparePlan(calls, plan);
      t.strictSame(problems, [], name);
      t.ok(executed > 80, `${name}: ${executed} calls of ${planned} planned`);
      const without = (call: string): PlanStep[] => plan.filter((step) => step.call !== call);
      for (const call of ['setsid', 'pivot_root', 'execve'])
        t.not(comparePlan(calls, without(call)).problems.length, 0, `a plan without ${call} is told apart`);
      const fewer = calls.filter(({ name }) => name !== 'pivot_root');
      t.not(comparePlan(fewer, plan).problems.length, 0, 'and so is a run without a planned call');
      t.comment(`${name}: ${executed} of ${planned} planned calls were made, in ${programs.length} programs`);
    }
  });
});
