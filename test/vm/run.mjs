/**
 * Runs live tests in a virtual machine with cgroup v2 and systemd:
 * `node test/vm/run.mjs [--arch amd64 | arm64] [--all | --short] [NAME ...]`.
 *
 * The machine (build.sh makes it when it is not there) is emulated by qemu and starts once. It gets a disk with the built tsrun, a
 * Node, and the tests as bundles, runs them in the configurations of configurations.mjs, and writes their TAP on its virtual console.
 * A NAME chooses a test file in every configuration that has it, `systemd:NAME` in one; `--all` takes all of test/live, `--short` a
 * part of what runs by default.
 * The last line is `N passed, N failed`, with `, N skipped` where something was.
 */
import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBuilt, top } from '../../bundles/ready.mjs';
import { ARCHITECTURES, isArchitecture, reasonAgainst } from './architectures.mjs';
import { chooseJobs, FOLDERS, KINDS } from './configurations.mjs';
import { announceFiles, countResults } from './results.mjs';
import { fillShare } from './share.mjs';

const SHARE_MIB = 768;
/** Starting takes 20 seconds, on a busy machine a minute. */
const BOOT_MS = 180_000;
/** How long a machine runs at most. */
const MINUTES = 20;
const LONG_MINUTES = 60;
/** Emulation works everywhere; KVM is asked for, since a /dev/kvm that is there need not work, as within another machine. */
const ACCELERATION = ['-accel', process.env.TSRUN_VM_KVM === '1' ? 'kvm' : 'tcg,thread=multi,tb-size=512'];

const { architecture, extent, names } = readArguments();
const cache = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache');
const { node: arch, qemu: emulator, machine: hardware, console: serial } = ARCHITECTURES[architecture];

const reason = reasonAgainst(architecture);
if (reason !== undefined) fail(reason);
if (!ensureBuilt()) process.exit(1);
const files = findTests();
const jobs = chooseJobs(files, { architecture, names, extent });
if (process.env.TSRUN_VM_OUTPUT) fs.writeFileSync(process.env.TSRUN_VM_OUTPUT, '');
const total = { passed: 0, failed: 0, skipped: 0 };
for (const kind of /** @type {(keyof typeof KINDS)[]} */ (Object.keys(KINDS))) {
  const own = jobs.filter((job) => job.kind === kind);
  if (own.length === 0) continue;
  const { passed, failed, skipped } = await runMachine(kind, own);
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
}
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
process.exitCode = total.failed === 0 ? 0 : 1;

/**
 * Makes a machine where there is none, and runs tests in it.
 * @param {keyof typeof KINDS} kind
 * @param {readonly import('./configurations.mjs').Job[]} jobs
 */
async function runMachine(kind, jobs) {
  const { packages, parallel } = KINDS[kind];
  const machine = path.join(cache, 'tsrun-vm', kind === 'plain' ? architecture : `${architecture}-${kind}`);
  const usual = kind !== 'plain' || extent === 'all' ? LONG_MINUTES : MINUTES;
  const deadlineMs = Number(process.env.TSRUN_VM_MINUTES ?? usual) * 60_000;
  // One file that hangs leaves the machine time for the others.
  const seconds = deadlineMs / 2000;
  execFileSync(path.join(top, 'test/vm/build.sh'), [architecture, machine, packages.join(',')], { stdio: 'inherit' });
  const work = fs.mkdtempSync(path.join(tmpdir(), 'tsrun-vm-'));
  try {
    const share = path.join(work, 'share');
    await fillShare(share, { arch, cache: machine, files, jobs, seconds, parallel });
    const parts = { machine, work, share, deadlineMs };
    let code = await boot(parts);
    // Now and then an emulated machine hangs before it has said a word.
    if (readOutput(work) === '') code = await boot(parts);
    const output = readOutput(work);
    if (process.env.TSRUN_VM_OUTPUT) fs.appendFileSync(process.env.TSRUN_VM_OUTPUT, output);
    const counted = countResults(output);
    if (!/^## all done$/m.test(output)) {
      console.log(
        `the machine did not finish (qemu: ${code})`,
        fs.readFileSync(path.join(work, 'console'), 'utf8').slice(-3000),
      );
      counted.failed += 1;
    }
    return counted;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { arch: { type: 'string', default: 'amd64' }, all: { type: 'boolean' }, short: { type: 'boolean' } },
    });
    const architecture = values.arch;
    if (!isArchitecture(architecture))
      throw new Error(
        `unknown architecture ${JSON.stringify(architecture)}; wanted ${Object.keys(ARCHITECTURES).join(', ')}`,
      );
    const extent = values.all ? 'all' : values.short ? 'short' : 'usual';
    return { architecture, extent: /** @type {'all' | 'short' | 'usual'} */ (extent), names: positionals };
  } catch (error) {
    return fail(
      `${error instanceof Error ? error.message : String(error)}\nuse [--arch NAME] [--all | --short] [NAME ...]`,
    );
  }
}

/** All tests that some machine can run, relative to the project. */
function findTests() {
  return FOLDERS.flatMap((folder) => {
    const directory = path.join('test', folder);
    const names = fs.readdirSync(path.join(top, directory), { recursive: true, encoding: 'utf8' });
    return names.filter((name) => name.endsWith('.test.ts')).map((name) => path.join(directory, name));
  }).sort();
}

/**
 * Starts the machine and prints, as it comes, what is more than detail.
 * @param {{ machine: string, work: string, share: string, deadlineMs: number }} parts
 * @returns {Promise<number>} the exit code of qemu
 */
async function boot({ machine, work, share, deadlineMs }) {
  const disk = path.join(work, 'share.img');
  fs.writeFileSync(disk, '');
  fs.truncateSync(disk, SHARE_MIB * 1024 * 1024);
  execFileSync('mkfs.ext4', ['-q', '-F', '-O', '^has_journal', '-d', share, disk]);
  const append = `console=${serial} panic=-1 quiet mitigations=off nokaslr security=apparmor apparmor=1`;
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
    ...[...hardware, ...ACCELERATION, '-m', '2048', '-smp', '2'],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-kernel', `${machine}/vmlinuz`, '-initrd', `${machine}/initrd.img`, '-append', append],
    ...['-serial', `file:${work}/console`, ...drives.flat()],
    ...['-device', 'virtio-serial-pci', '-chardev', `file,id=output,path=${work}/output`],
    ...['-device', 'virtconsole,chardev=output'],
  ];
  fs.writeFileSync(path.join(work, 'output'), '');
  const qemu = spawn(emulator, args, { stdio: ['ignore', 'inherit', 'inherit'], timeout: deadlineMs });
  const printer = announceFiles(() => readOutput(work));
  const watchdog = setTimeout(() => readOutput(work) === '' && qemu.kill('SIGKILL'), BOOT_MS);
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

/**
 * What the tests have printed; nothing before they begin.
 * @param {string} work
 */
function readOutput(work) {
  return fs.readFileSync(path.join(work, 'output'), 'utf8').replaceAll('\r', '');
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(`test/vm/run.mjs: ${message}`);
  process.exit(2);
}
