/** The runtimes that are compared, each with bundles and a state directory of its own. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import path from 'node:path';
import { command, executable, top } from '../../bundles/ready.mjs';
import { parseJson } from '../../bundles/untyped.mjs';

/** The first one is what the ratios are of. */
const RUNTIMES = [
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
 *
 * @typedef {{ name: string, argv: readonly string[] }} Runtime
 * @typedef {{ ociVersion: string, process: { terminal: boolean, args: string[], env: string[] }, root: { path: string }, mounts: object[], linux: { seccomp?: object | undefined } }} Config
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
};

/**
 * The runtimes that are installed.
 * @param {string} directory
 */
export function makeRigs(directory) {
  return RUNTIMES.filter(isInstalled).map((runtime, index) => makeRig(runtime, { directory, index }));
}

/** @param {Runtime} runtime */
function isInstalled({ argv: [file = '', ...args] }) {
  return spawnSync(file, [...args, '--version'], { stdio: 'ignore' }).status === 0;
}

/**
 * @param {Runtime} runtime
 * @param {{ directory: string, index: number }} place
 * @returns {Rig}
 */
function makeRig({ name, argv }, { directory, index }) {
  const place = path.join(directory, String(index));
  const rig = {
    name,
    binary: argv,
    argv: [...argv, '--root', path.join(place, 'root')],
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
    config.root.path = path.join(BUSYBOX, 'rootfs');
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
  // No pipe: a container that stays would hold its other end, and we would wait for it.
  const { status } = spawnSync(file, rest, { stdio: ['ignore', 'ignore', 'inherit'] });
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
 * Runs commands at the same time, each of which has to succeed.
 * @param {Rig} rig
 * @param {readonly (readonly string[])[]} commands
 */
export async function callAll(rig, commands) {
  const children = commands.map((args) => {
    const [file = '', ...rest] = [...rig.argv, ...args];
    return spawn(file, rest, { stdio: 'ignore' });
  });
  for (const [status] of await Promise.all(children.map((child) => once(child, 'exit'))))
    if (status !== 0) throw new Error(`${rig.name}: exit code ${status}`);
}

/**
 * KiB that a command had in memory at most. busybox counts it, because a child that Node spawns starts out with Node's own peak.
 * @param {Rig} rig
 * @param {readonly string[]} args
 */
export function peakMemory(rig, args) {
  const [...argv] = ['time', '-f', 'peak %M', ...rig.argv, ...args];
  const { status, stderr } = spawnSync('/bin/busybox', argv, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  const peak = /^peak (\d+)$/m.exec(stderr)?.[1];
  if (status !== 0 || peak === undefined) throw new Error(`${rig.name} ${args.join(' ')}: ${stderr}`);
  return Number(peak);
}

/** CPU time of all children that have ended so far, in ms; the kernel counts in steps of 10. */
export function childrenCpuMs() {
  const stat = fs.readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) * 10;
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
