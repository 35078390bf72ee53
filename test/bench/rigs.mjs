/** The runtimes that are compared, each with bundles and a state directory of its own. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { command, executable, top } from '../../bundles/ready.mjs';
import { parseJson } from '../../bundles/untyped.mjs';
import { usedCpuMs } from './cpu.mjs';
import { socketAside } from './planner.mjs';
import { runAllToEnd, runToEnd } from './spawn.mjs';

/** Those of tsrun come first: the ratios are of them. The first one's commands are carried out by a planner. */
const RUNTIMES = [
  { name: 'tsrun, warm', argv: [executable], warm: true },
  { name: 'tsrun', argv: [executable] },
  { name: 'tsrun on Node', argv: [process.execPath, command] },
  { name: 'runc', argv: ['runc'] },
  { name: 'crun', argv: ['crun'] },
];

/**
 * @typedef {object} Rig a runtime, and what it is measured with
 * @property {string} name
 * @property {readonly string[]} binary
 * @property {readonly string[]} argv with the options before the command
 * @property {string} id
 * @property {string} runningId
 * @property {string} pidFile
 * @property {(bundle: string) => string} bundle
 * @property {number | undefined} planner process that carries its commands out
 *
 * @typedef {{ value: number, cpuMs: number }} Sample the CPU time is that of all processes, of the planner too
 * @typedef {{ name: string, argv: readonly string[], warm?: boolean }} Runtime
 * @typedef {{ ociVersion: string, process: { terminal: boolean, args: string[], env: string[], user?: object }, root: { path: string }, mounts: object[], annotations?: object, linux: { seccomp?: object | undefined, maskedPaths?: string[], devices?: object[] } }} Config
 */

const BUSYBOX = path.join(top, 'bundles/busybox');
const MOUNTS = 40;
const VARIABLES = 300;
const SECCOMP_FILES = ['/usr/share/containers/seccomp.json', '/etc/containers/seccomp.json'];

/**
 * Bundle name -> what it changes in the plain config.
 * @type {Readonly<Record<string, (config: Config) => void>>}
 */
const BUNDLES = {
  true: () => {},
  sleep: (config) => {
    config.process.args = ['sleep', '1000'];
  },
  large: (config) => {
    for (let i = 0; i < MOUNTS; i++)
      config.mounts.push({ destination: `/mnt/${i}`, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'size=4k'] });
    for (let i = 0; i < VARIABLES; i++) config.process.env.push(`VARIABLE_${i}=the value of number ${i}`);
  },
  seccomp: (config) => {
    config.linux.seccomp = containerProfile();
  },
  masked: (config) => {
    config.linux.maskedPaths = Array.from({ length: 4000 }, (_, index) => `/proc/none/${index}`);
  },
  devices: (config) => {
    config.linux.devices = Array.from({ length: 500 }, (_, index) => {
      return { path: `/dev/own${index}`, type: 'c', major: 1, minor: 3, fileMode: 0o666, uid: 0, gid: 0 };
    });
  },
  groups: (config) => {
    config.process.user = { uid: 0, gid: 0, additionalGids: Array.from({ length: 60_000 }, (_, index) => index + 1) };
  },
  tmpfs: (config) => {
    for (let i = 0; i < 500; i++)
      config.mounts.push({ destination: `/mnt/${i}`, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'size=4k'] });
  },
  annotations: (config) => {
    /** @type {Record<string, string>} */
    const annotations = {};
    for (let i = 0; i < 2000; i++) annotations[`org.example.${i}`] = 'x'.repeat(1000);
    config.annotations = annotations;
  },
};

/**
 * The runtimes that are installed, each of whose files is read once from front to back: what was just written lies in the page cache
 * in small pieces, with which a start takes longer.
 * @param {string} directory
 * @param {number} planner
 */
export function makeRigs(directory, planner) {
  // What runtimes make in a root file system for mounts stays in a copy of it.
  fs.cpSync(path.join(BUSYBOX, 'rootfs'), path.join(directory, 'rootfs'), { recursive: true, verbatimSymlinks: true });
  return RUNTIMES.filter(isInstalled).map((runtime, index) => {
    const rig = makeRig(runtime, { directory, index, planner });
    for (const file of filesOf(rig)) fs.readFileSync(file);
    return rig;
  });
}

/** @param {Runtime} runtime */
function isInstalled({ argv: [file = '', ...args] }) {
  return spawnSync(file, [...args, '--version'], { stdio: 'ignore' }).status === 0;
}

/**
 * @param {Runtime} runtime
 * @param {{ directory: string, index: number, planner: number }} place
 * @returns {Rig}
 */
function makeRig({ name, argv, warm = false }, { directory, index, planner }) {
  const place = path.join(directory, String(index));
  const rig = {
    name,
    binary: argv,
    planner: warm ? planner : undefined,
    argv: [findInPath(argv[0] ?? ''), ...argv.slice(1), '--root', path.join(place, 'root')],
    id: `tsrun-bench-${index}`,
    runningId: `tsrun-bench-${index}-running`,
    pidFile: path.join(place, 'pid'),
    bundle: (/** @type {string} */ bundle) => path.join(place, bundle),
  };
  for (const [bundle, change] of Object.entries(BUNDLES)) {
    const config = /** @type {Config} */ (parseJson(fs.readFileSync(path.join(BUSYBOX, 'config.json'), 'utf8')));
    // crun 1.8 takes no later version.
    config.ociVersion = '1.0.2';
    config.process.terminal = false;
    config.process.args = ['/bin/true'];
    config.root.path = path.join(directory, 'rootfs');
    fs.mkdirSync(rig.bundle(bundle), { recursive: true });
    change(config);
    fs.writeFileSync(path.join(rig.bundle(bundle), 'config.json'), JSON.stringify(config));
  }
  return rig;
}

/**
 * @typedef {{ caps?: unknown, arches?: readonly string[] }} Condition
 * @typedef {{ index: number, value: number, valueTwo: number, op: string }} Argument
 * @typedef {{ names?: string[], name?: string, action: string, args?: Argument[] | null, errnoRet?: number, includes?: Condition, excludes?: Condition }} Rule
 * @typedef {{ defaultAction: string, defaultErrnoRet?: number, syscalls: Rule[] }} Profile
 */

/** The profile that containers/common installs, as a config.json has it: what depends on architecture or capabilities resolved for x86-64 and none. */
function containerProfile() {
  const file = SECCOMP_FILES.find((one) => fs.existsSync(one));
  if (file === undefined) return undefined;
  const { defaultAction, defaultErrnoRet, syscalls } = /** @type {Profile} */ (
    parseJson(fs.readFileSync(file, 'utf8'))
  );
  const applies = (/** @type {Rule} */ { includes = {}, excludes = {} }) =>
    includes.caps === undefined &&
    (includes.arches === undefined || includes.arches.includes('amd64')) &&
    excludes.arches?.includes('amd64') !== true;
  return {
    defaultAction,
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
    syscalls: syscalls.filter(applies).map(({ names, name, action, args, errnoRet }) => ({
      names: names ?? [name],
      action,
      ...(args === undefined || args === null || args.length === 0 ? {} : { args: args.map(toArgument) }),
      ...(errnoRet === undefined ? {} : { errnoRet }),
    })),
  };
}

/** @param {Argument} argument */
function toArgument({ index, value, valueTwo, op }) {
  return { index, value, valueTwo, op };
}

/**
 * Runs a command that has to succeed.
 * @param {Rig} rig
 * @param {readonly string[]} args
 */
export function call(rig, args) {
  const [file = '', ...rest] = [...rig.argv, ...args];
  const status = runToEnd(file, rest);
  if (status !== 0) throw new Error(`${rig.name} ${args.join(' ')}: exit code ${status}`);
}

/**
 * Whether the runtime takes a bundle at all.
 * @param {Rig} rig
 * @param {string} bundle
 */
export function accepts(rig, bundle) {
  const [file, ...rest] = [...rig.argv, 'run', '--bundle', rig.bundle(bundle), rig.id];
  return spawnSync(file, rest, { stdio: 'ignore' }).status === 0;
}

/**
 * Runs commands at the same time, each of which has to succeed. Returns how long each took, in ms.
 * @param {Rig} rig
 * @param {readonly (readonly string[])[]} commands
 */
export function callAll(rig, commands) {
  const [file = '', ...options] = rig.argv;
  const ends = runAllToEnd(commands.map((args) => [file, ...options, ...args]));
  const failed = ends.find(({ code }) => code !== 0);
  if (failed !== undefined) throw new Error(`${rig.name}: exit code ${failed.code}`);
  return ends.map(({ ms }) => ms);
}

/**
 * KiB that a command had in memory at most. busybox counts it, because a child that Node spawns starts out with Node's own peak.
 * @param {Rig} rig
 * @param {readonly string[]} args
 */
export function peakMemory(rig, args) {
  return peakOf([...rig.argv, ...args]).peak / unitOfPeak();
}

/** @type {number | undefined} */
let unit;

/** What busybox calls a KiB: of some versions a page, in which its own peak is not what the kernel says. */
function unitOfPeak() {
  const script = 'while read -r line; do case $line in VmHWM*) echo "$line"; esac; done </proc/$$/status';
  if (unit === undefined) {
    const { peak, stdout } = peakOf(['/bin/busybox', 'sh', '-c', script]);
    unit = Math.max(1, Math.round(peak / Number(/(\d+) kB/.exec(stdout)?.[1])));
  }
  return unit;
}

/** @param {readonly string[]} command */
function peakOf(command) {
  const { status, stdout, stderr } = spawnSync('/bin/busybox', ['time', '-f', 'peak %M', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  });
  const peak = /^peak (\d+)$/m.exec(stderr)?.[1];
  if (status !== 0 || peak === undefined) throw new Error(`${command.join(' ')}: ${stderr}`);
  return { peak: Number(peak), stdout };
}

/**
 * The files the command is made of: the program, what it loads of its own, and on Node the engine.
 * @param {Rig} rig
 */
export function filesOf({ binary }) {
  return binary.flatMap((file) => {
    const found = findInPath(file);
    const directory = path.dirname(found);
    if (path.basename(found) === 'main.js')
      return ['main.js', 'command.js', `command-${process.arch}.cache`].map((name) => path.join(directory, name));
    if (path.basename(found) !== 'tsrun') return [found];
    return ['tsrun', 'tsrun-cold', 'koffi.node'].map((name) => path.join(directory, name));
  });
}

/** @param {string} name */
function findInPath(name) {
  if (path.isAbsolute(name)) return name;
  const found = (process.env.PATH ?? '')
    .split(':')
    .map((directory) => path.join(directory, name))
    .find((file) => fs.existsSync(file));
  if (found === undefined) throw new Error(`${name} is not in PATH`);
  return found;
}

/**
 * What one call takes, which has to succeed.
 * @param {Rig} rig
 * @param {readonly string[]} args
 * @returns {Sample}
 */
export function timed(rig, args) {
  const cpu = usedCpuMs(rig.planner);
  const start = performance.now();
  call(rig, args);
  return { value: performance.now() - start, cpuMs: usedCpuMs(rig.planner) - cpu };
}

/**
 * Does something with a runtime. Launchers without a planner find no socket meanwhile.
 * @template T
 * @param {Rig} rig
 * @param {() => T} body
 */
export async function withRig(rig, body) {
  if (rig.planner !== undefined) return await body();
  socketAside(true);
  try {
    return await body();
  } finally {
    socketAside(false);
  }
}

/**
 * @param {Rig} rig
 * @param {readonly string[]} ids
 */
export function deleteAll(rig, ids) {
  for (const id of ids) {
    const [file, ...rest] = [...rig.argv, 'delete', '--force', id];
    spawnSync(file, rest, { stdio: 'ignore' });
  }
}
