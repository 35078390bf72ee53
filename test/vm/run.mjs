/**
 * Runs live tests in a virtual machine with cgroup v2 and systemd: `node test/vm/run.mjs [--all | --short] [NAME ...]`.
 *
 * The machine (build.sh makes it when it is not there) is emulated by qemu and starts once. It gets a disk with the built tsrun, this
 * Node, and the tests as bundles, runs them in each configuration below, and writes their TAP on its second serial port. A NAME
 * chooses a test file of test/live or test/vm in every configuration that has it, `systemd:NAME` in one; `--all` takes all of test/live,
 * `--short` a part of what runs by default.
 * The last line is `N passed, N failed`, with `, N skipped` where something was.
 */
import { build } from 'esbuild';
import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { ensureBuilt, top } from '../../bundles/ready.mjs';
import { parseJson } from '../../bundles/untyped.mjs';

const SHARE_MIB = 512;
/** Starting takes 20 seconds, on a busy machine a minute. */
const BOOT_MS = 180_000;
/** Emulation works everywhere; KVM is asked for, since a /dev/kvm that is there need not work, as within another machine. */
const ACCELERATION = ['-accel', process.env.TSRUN_VM_KVM === '1' ? 'kvm' : 'tcg,thread=multi,tb-size=512'];
const machine = path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'tsrun-vm');

/** Test files of test/live that say something about cgroups; the others have little to do with the machine they run on. */
const SELECTION = ['limits', 'pause', 'cgroup', 'cycles', 'update', 'events'];

/** Tests of test/live that need the whole project around them, which is not in the machine. */
const NOT_IN_THE_MACHINE = ['conformance', 'executable'];

/** Of each configuration what the others do not show, for a run of a few minutes. */
const SHORT = [
  'cgroupfs:limits',
  'delegation',
  'apparmor',
  'systemd:cgroup',
  'systemd:unified',
  'scope',
  'rootless:pause',
  'session',
];

/** What says something about the cgroups of an ordinary user. */
const USER_SELECTION = ['limits', 'pause', 'update'];
/** All that an ordinary user can do: the other tests make devices, mounts and users as only root may, or join what is root's. */
const OF_A_USER = [
  ...USER_SELECTION,
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

/**
 * @typedef {object} Configuration
 * @property {Readonly<Record<string, string>>} env
 * @property {readonly string[]} selection
 * @property {readonly string[]} [only]
 * @property {readonly string[]} [without]
 * @property {readonly string[]} own
 */

/**
 * Name -> environment of the tests, those of test/live that run by default and with `--all` (all of them where it is not said), and
 * those of test/vm that are made for it.
 * @type {Readonly<Record<string, Configuration>>}
 */
const CONFIGURATIONS = {
  cgroupfs: { env: {}, selection: SELECTION, own: ['unified', 'delegation', 'apparmor', 'session'] },
  systemd: {
    env: { TSRUN_TEST_GLOBAL: '--systemd-cgroup' },
    selection: SELECTION,
    // Its user has no session, whose systemd would make the cgroups.
    without: ['rootless'],
    own: ['unified', 'delegation', 'scope'],
  },
  rootless: {
    env: { TSRUN_TEST_GLOBAL: '--systemd-cgroup', TSRUN_TEST_USER: '1000' },
    selection: USER_SELECTION,
    only: OF_A_USER,
    own: [],
  },
};

const words = process.argv.slice(2);
const unknown = words.find((word) => word.startsWith('-') && !['--all', '--short'].includes(word));
if (unknown !== undefined) fail(`unknown option ${unknown}; use [--all | --short] [NAME ...]`);
const everything = words.includes('--all');
const DEADLINE_MS = Number(process.env.TSRUN_VM_MINUTES ?? (everything ? 60 : 20)) * 60_000;
const names = [...words.filter((word) => !word.startsWith('--')), ...(words.includes('--short') ? SHORT : [])];

if (process.getuid?.() !== 0) fail('it needs root, to make the file systems of the machine');
if (!ensureBuilt()) process.exit(1);
execFileSync(path.join(top, 'test/vm/build.sh'), [machine], { stdio: 'inherit' });
const work = fs.mkdtempSync(path.join(tmpdir(), 'tsrun-vm-'));
try {
  const share = path.join(work, 'share');
  await fillShare(share);
  let code = await boot(share);
  // Now and then an emulated machine hangs before it has said a word.
  if (isSilent()) code = await boot(share);
  if (process.env.TSRUN_VM_OUTPUT) fs.copyFileSync(path.join(work, 'output'), process.env.TSRUN_VM_OUTPUT);
  finish(fs.readFileSync(path.join(work, 'output'), 'utf8'), code);
} finally {
  fs.rmSync(work, { recursive: true, force: true });
}

/**
 * What the machine finds in /share: the project as far as the tests need it, and run.sh.
 * @param {string} share
 */
async function fillShare(share) {
  const files = findTests();
  // The bundles lie as deep as the sources do, so that paths relative to one of them lead to the same places.
  const banner = `import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);`;
  await build({
    absWorkingDir: top,
    entryPoints: [...files.values()],
    outbase: '.',
    outdir: path.join(share, 'bundles'),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: ['koffi'],
    banner: { js: banner },
    logLevel: 'warning',
  });
  fs.cpSync(path.join(top, 'dist/bin'), path.join(share, 'dist/bin'), { recursive: true });
  fs.copyFileSync(process.execPath, path.join(share, 'node'));
  for (const name of runtimePackages())
    fs.cpSync(path.join(top, 'node_modules', name), path.join(share, 'node_modules', name), { recursive: true });
  // tap would load it to print JSX, which no test has.
  const unused = path.join(share, 'node_modules/react-element-to-jsx-string');
  fs.mkdirSync(unused);
  fs.writeFileSync(path.join(unused, 'index.js'), 'exports.default = String;\n');
  fs.writeFileSync(path.join(share, 'run.sh'), script(files));
}

/**
 * Name of a test -> its file, relative to the project.
 * @returns {ReadonlyMap<string, string>}
 */
function findTests() {
  const found = /** @type {Map<string, string>} */ (new Map());
  for (const directory of ['test/live', 'test/vm'])
    for (const name of fs.readdirSync(path.join(top, directory)))
      if (name.endsWith('.test.ts')) found.set(name.slice(0, -'.test.ts'.length), path.join(directory, name));
  for (const name of names) if (!found.has(name.replace(/^\w+:/, ''))) fail(`there is no test ${JSON.stringify(name)}`);
  return found;
}

/** The packages that the built command loads, with those they load themselves. */
function runtimePackages() {
  /** @typedef {{ dependencies?: Record<string, string>, optionalDependencies?: Record<string, string> }} Entry */
  const text = fs.readFileSync(path.join(top, 'package-lock.json'), 'utf8');
  const { packages: lock } = /** @type {{ packages: Readonly<Record<string, Entry>> }} */ (parseJson(text));
  const found = /** @type {Set<string>} */ (new Set());
  const add = (/** @type {string} */ name) => {
    const entry = lock[`node_modules/${name}`];
    if (entry === undefined || found.has(name) || !fs.existsSync(path.join(top, 'node_modules', name))) return;
    found.add(name);
    for (const needed of Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })) add(needed);
  };
  for (const name of Object.keys(lock['']?.dependencies ?? {})) add(name);
  return found;
}

/**
 * What the machine runs: every file of every configuration, two at a time, each with a line of its own in front of its TAP.
 * @param {ReadonlyMap<string, string>} files
 */
function script(files) {
  const jobs = Object.entries(CONFIGURATIONS).flatMap(
    ([configuration, { env, selection, only, without = [], own }]) => {
      const isPossible = (/** @type {string} */ name) =>
        !NOT_IN_THE_MACHINE.includes(name) && !without.includes(name) && (only?.includes(name) ?? true);
      const live = [...files]
        .filter(([name, file]) => file.startsWith('test/live/') && isPossible(name))
        .map(([name]) => name);
      const possible = [...live, ...own];
      const isNamed = (/** @type {string} */ name) =>
        names.includes(name) || names.includes(`${configuration}:${name}`);
      const chosen = names.length > 0 ? possible.filter(isNamed) : everything ? possible : [...selection, ...own];
      const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`);
      return chosen.map((name) => {
        const bundle = `/share/bundles/${files.get(name)?.replace(/\.ts$/, '.mjs')}`;
        return [configuration, name, settings.join(' '), bundle].join('|');
      });
    },
  );
  if (jobs.length === 0) fail(`no configuration has the tests ${names.join(' ')}`);
  return `
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/var/tmp TSRUN=/share/dist/bin/main.js TSRUN_TEST_SLOWNESS=10 TAP_TIMEOUT=600
modprobe -a overlay veth tun fuse bfq
# The scheduler that knows weights of single disks.
echo bfq >/sys/block/vda/queue/scheduler
one() {
  IFS='|' read -r configuration name settings bundle <<<"$1"
  output=$(mktemp)
  start=$SECONDS
  (cd /share && env $settings timeout -k 5 600 ./node "$bundle") >"$output" 2>&1 || true
  flock /share/run.sh sh -c 'echo "## $1 $2 $3 s"; cat "$4"; echo "## end"' - "$configuration" "$name" $((SECONDS - start)) "$output"
}
export -f one
echo "## started"
printf '%s\\n' ${jobs.map((job) => `'${job.replaceAll("'", `'\\''`)}'`).join(' ')} |
  tr '\\n' '\\0' | xargs -0 -n 1 -P 2 bash -c 'one "$1"' -
echo "## all done"
`;
}

/**
 * Starts the machine and prints, as it comes, what is more than detail.
 * @param {string} share
 * @returns {Promise<number>} the exit code of qemu
 */
async function boot(share) {
  const disk = path.join(work, 'share.img');
  fs.writeFileSync(disk, '');
  fs.truncateSync(disk, SHARE_MIB * 1024 * 1024);
  execFileSync('mkfs.ext4', ['-q', '-F', '-O', '^has_journal', '-d', share, disk]);
  const append = 'console=ttyS0 panic=-1 quiet mitigations=off nokaslr security=apparmor apparmor=1';
  const drives = [
    ['root.img', `file=${machine}/root.img,snapshot=on`],
    ['share', `file=${disk}`],
  ].map(([, file], index) => [
    '-drive',
    `if=none,id=disk${index},format=raw,cache=unsafe,${file}`,
    '-device',
    `virtio-blk-pci,drive=disk${index}`,
  ]);
  const args = [
    ...['-M', 'q35', ...ACCELERATION, '-cpu', 'max', '-m', '2048', '-smp', '2'],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-kernel', `${machine}/vmlinuz`, '-initrd', `${machine}/initrd.img`, '-append', append],
    ...['-serial', `file:${work}/console`, '-serial', `file:${work}/output`, ...drives.flat()],
  ];
  fs.writeFileSync(path.join(work, 'output'), '');
  const qemu = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'inherit', 'inherit'], timeout: DEADLINE_MS });
  const printer = followOutput();
  const watchdog = setTimeout(() => isSilent() && qemu.kill('SIGKILL'), BOOT_MS);
  // Whoever stops this program stops the machine, and sees what it has done so far.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => qemu.kill('SIGKILL'));
  try {
    return await new Promise((resolve, reject) => {
      qemu.on('error', reject);
      qemu.on('exit', (code) => {
        resolve(code ?? 128);
      });
    });
  } finally {
    clearInterval(printer);
    clearTimeout(watchdog);
  }
}

/** The tests have not begun. */
function isSilent() {
  return fs.readFileSync(path.join(work, 'output'), 'utf8') === '';
}

/** A line for each test file when it is through. */
function followOutput() {
  let seen = 0;
  return setInterval(() => {
    const lines = fs.readFileSync(path.join(work, 'output'), 'utf8').split('\n');
    for (const line of lines.slice(seen, -1)) if (/^## \w+ [\w-]+ \d+ s/.test(line)) console.log(line.slice(3));
    seen = lines.length - 1;
  }, 500);
}

/**
 * Counts the assertions of every file, prints the failures, and sets the exit code.
 * @param {string} output
 * @param {number} code
 */
function finish(output, code) {
  const text = output.replaceAll('\r', '');
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const [, title = '', body = ''] of text.matchAll(/^## (\w+ [\w-]+ \d+ s)\n([^]*?)^## end$/gm)) {
    const lines = body.split('\n');
    const leaves = lines.filter((line, index) => /^ *(not )?ok /.test(line) && !endsSubtest(lines, index));
    const failed = leaves.filter((line) => line.trimStart().startsWith('not ok') && !/# TODO/i.test(line)).length;
    const skipped = leaves.filter((line) => /# SKIP/i.test(line));
    const complete = /^1\.\.\d+/m.test(body);
    total.passed += leaves.length - failed - skipped.length;
    total.skipped += skipped.length;
    total.failed += failed + (failed === 0 && (!complete || /^not ok/m.test(body)) ? 1 : 0);
    for (const line of skipped) console.log(`${title}: ${line.trim()}`);
    if (failed > 0 || !complete || /^not ok/m.test(body)) console.log(`\n${title} FAILED\n${body}`);
  }
  if (!/^## all done$/m.test(text)) {
    console.log(
      `the machine did not finish (qemu: ${code})`,
      fs.readFileSync(path.join(work, 'console'), 'utf8').slice(-3000),
    );
    total.failed += 1;
  }
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  process.exitCode = total.failed === 0 ? 0 : 1;
}

/**
 * A line `ok` that sums up the lines indented below the subtest in front of it is no assertion of its own.
 * @param {readonly string[]} lines
 * @param {number} index
 */
function endsSubtest(lines, index) {
  const indent = /^ */.exec(lines[index] ?? '')?.[0] ?? '';
  const before = lines.slice(0, index).findLast((line) => line.trim() !== '');
  return before?.startsWith(`${indent}    1..`) ?? false;
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(`test/vm/run.mjs: ${message}`);
  process.exit(2);
}
