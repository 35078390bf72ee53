/** What is measured. Each case answers for one round of one runtime: milliseconds, KiB or MiB. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseJson } from '../../bundles/untyped.mjs';
import { privateMemory, readIfThere, usedCpuMs } from './cpu.mjs';
import { call, callAll, filesOf, peakMemory, timed } from './rigs.mjs';

const SEQUENCE = 100;
const PARALLEL = [8, 50];
const LARGE = {
  masked: '4,000 masked paths',
  devices: '500 devices',
  groups: '60,000 groups',
  tmpfs: '500 tmpfs',
  annotations: '2 MB of annotations',
};
const LAYERS = '/var/lib/tsrun/overlay';
const PATIENCE_MS = 10_000;

/**
 * @typedef {import('./rigs.mjs').Rig} Rig
 * @typedef {import('./rigs.mjs').Sample} Sample
 * @typedef {Readonly<Record<string, Sample>>} Parts
 * @typedef {object} Case
 * @property {string} name
 * @property {(rig: Rig) => Sample | number | undefined | Promise<Sample | number | undefined>} [measure] undefined: it has no such thing
 * @property {string} [part] of those that a round of `measureParts` yields
 * @property {(rig: Rig) => Parts | Promise<Parts>} [measureParts]
 * @property {string} [unit] milliseconds unless it is said
 * @property {number} [rounds] where a round takes long
 * @property {string} [bundle] one that not all runtimes may take
 */

/**
 * In the order of the report.
 * @type {readonly Case[]}
 */
export const CASES = [
  { name: '`--version`', measure: (rig) => timed(rig, ['--version']) },
  { name: '`run` of /bin/true', measure: (rig) => timed(rig, run(rig, 'true')) },
  { name: '`run` of a bundle that is another each time', measure: measureNew },
  { name: '`create`', part: 'create' },
  { name: '`start`', part: 'start' },
  { name: '`delete`', part: 'delete' },
  { name: '`create` + `start` + `delete`', part: 'cycle', measureParts: measureLife },
  { name: '`state`', measure: (rig) => timed(rig, ['state', rig.runningId]) },
  { name: '`exec` of true', measure: (rig) => timed(rig, ['exec', rig.runningId, 'true']) },
  { name: '`run`, 40 more mounts, 300 variables', measure: (rig) => timed(rig, run(rig, 'large')) },
  {
    name: '`run`, seccomp profile of containers',
    bundle: 'seccomp',
    measure: (rig) => timed(rig, run(rig, 'seccomp')),
  },
  {
    name: '`run --overlay` of /bin/true',
    measure: (rig) => (hasLayers(rig) ? timed(rig, layered(rig)) : undefined),
  },
  {
    name: 'disk of a created container on `--overlay`',
    unit: 'KiB',
    rounds: 3,
    measure: (rig) => (hasLayers(rig) ? measureLayer(rig) : undefined),
  },
  ...PARALLEL.flatMap((count) => parallelCases(count)),
  { name: `${SEQUENCE} \`run\` in sequence`, rounds: 1, measure: measureSequence },
  ...Object.entries(LARGE).map(([bundle, name]) => ({
    name: `\`create\`, ${name}`,
    bundle,
    rounds: 5,
    measure: (/** @type {Rig} */ rig) => measureCreate(rig, bundle),
  })),
  { name: 'private memory of a created container', unit: 'KiB', rounds: 3, measure: measureMemory },
  { name: 'private memory of a waiting `run`', unit: 'KiB', rounds: 3, measure: measureWaiting },
  { name: 'peak memory of `run`', unit: 'KiB', rounds: 3, measure: (rig) => peakMemory(rig, run(rig, 'true')) },
  {
    name: 'peak memory of `state`',
    unit: 'KiB',
    rounds: 3,
    measure: (rig) => peakMemory(rig, ['state', rig.runningId]),
  },
  { name: 'size on disk', unit: 'MiB', rounds: 1, measure: measureSize },
];

/**
 * @param {number} count
 * @returns {Case[]}
 */
function parallelCases(count) {
  const p95 = `p95 of ${count}`;
  const each = `each of ${count}`;
  return [
    { name: `${count} \`run\` at the same time, for each`, part: each },
    {
      name: `${count} \`run\` at the same time, 95 % are over after`,
      part: p95,
      rounds: 8,
      measureParts(rig) {
        const ids = Array.from({ length: count }, (_, index) => `${rig.id}-${index}`);
        const cpu = usedCpuMs(rig.planner);
        const start = performance.now();
        const calls = ids.map((id) => ['run', '--bundle', rig.bundle('true'), id]);
        const durations = callAll(rig, calls).sort((a, b) => a - b);
        const cpuMs = (usedCpuMs(rig.planner) - cpu) / count;
        const late = durations[Math.ceil(count * 0.95) - 1] ?? NaN;
        return { [each]: { value: (performance.now() - start) / count, cpuMs }, [p95]: { value: late, cpuMs } };
      },
    },
  ];
}

/**
 * @param {Rig} rig
 * @param {string} bundle
 */
function run(rig, bundle) {
  return ['run', '--bundle', rig.bundle(bundle), rig.id];
}

/**
 * The peers' callers make layers by themselves.
 * @param {Rig} rig
 */
function hasLayers({ name }) {
  return name.startsWith('tsrun');
}

/** @param {Rig} rig */
function layered(rig) {
  return ['run', '--overlay', '--bundle', rig.bundle('true'), rig.id];
}

/**
 * What the layer of a container takes before it has written anything.
 * @param {Rig} rig
 */
function measureLayer(rig) {
  call(rig, ['create', '--overlay', '--bundle', rig.bundle('true'), rig.id]);
  const bytes = diskUsage(`${LAYERS}/${rig.id}`);
  call(rig, ['delete', '--force', rig.id]);
  return bytes / 1024;
}

/**
 * Bytes in blocks of all that is there.
 * @param {string} place
 * @returns {number}
 */
function diskUsage(place) {
  const stat = fs.lstatSync(place);
  const inside = stat.isDirectory() ? fs.readdirSync(place) : [];
  return inside.reduce((sum, name) => sum + diskUsage(`${place}/${name}`), stat.blocks * 512);
}

/** @param {Rig} rig */
function measureLife(rig) {
  const create = timed(rig, ['create', '--bundle', rig.bundle('true'), '--pid-file', rig.pidFile, rig.id]);
  const pid = fs.readFileSync(rig.pidFile, 'utf8');
  const start = timed(rig, ['start', rig.id]);
  // What /bin/true itself takes to end is nobody's merit.
  waitForEnd(pid);
  const end = timed(rig, ['delete', rig.id]);
  return { create, start, delete: end, cycle: sum([create, start, end]) };
}

/**
 * @param {readonly Sample[]} samples
 * @returns {Sample}
 */
function sum(samples) {
  const add = (/** @type {'value' | 'cpuMs'} */ of) => samples.reduce((total, sample) => total + sample[of], 0);
  return { value: add('value'), cpuMs: add('cpuMs') };
}

/**
 * The command alone: what removes the container is another's time.
 * @param {Rig} rig
 * @param {string} bundle
 */
function measureCreate(rig, bundle) {
  const sample = timed(rig, ['create', '--bundle', rig.bundle(bundle), rig.id]);
  call(rig, ['delete', '--force', rig.id]);
  return sample;
}

/** @param {string} pid */
function waitForEnd(pid) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const stat = readIfThere(`/proc/${pid}/stat`);
    if (stat === undefined || /\) [ZX] /.test(stat)) return;
    if (Date.now() > deadline) throw new Error(`process ${pid} did not end`);
  }
}

let renewed = 0;

/**
 * A planner that has seen a configuration knows the plan of it; engines have one of its own for each container.
 * @param {Rig} rig
 */
function measureNew(rig) {
  const file = path.join(rig.bundle('true'), 'config.json');
  const before = fs.readFileSync(file, 'utf8');
  const config = /** @type {{ process: { env: string[] } }} */ (parseJson(before));
  config.process.env.push(`ROUND=${(renewed += 1)}`);
  fs.writeFileSync(file, JSON.stringify(config));
  try {
    return timed(rig, run(rig, 'true'));
  } finally {
    fs.writeFileSync(file, before);
  }
}

/** @param {Rig} rig */
function measureSequence(rig) {
  return sum(Array.from({ length: SEQUENCE }, () => timed(rig, run(rig, 'true'))));
}

/**
 * Of the init of a created, not started container.
 * @param {Rig} rig
 */
function measureMemory(rig) {
  call(rig, ['create', '--bundle', rig.bundle('true'), '--pid-file', rig.pidFile, rig.id]);
  const size = privateMemory(fs.readFileSync(rig.pidFile, 'utf8'));
  call(rig, ['delete', '--force', rig.id]);
  return size;
}

/**
 * Of a command in the foreground while its container runs.
 * @param {Rig} rig
 */
async function measureWaiting(rig) {
  fs.rmSync(rig.pidFile, { force: true });
  const args = ['run', '--bundle', rig.bundle('sleep'), '--pid-file', rig.pidFile, rig.id];
  const [file = '', ...rest] = [...rig.argv, ...args];
  const child = spawn(file, rest, { stdio: 'ignore' });
  const exit = once(child, 'exit');
  const deadline = Date.now() + PATIENCE_MS;
  while (!isStarted(readIfThere(rig.pidFile))) {
    if (Date.now() > deadline) throw new Error(`${rig.name}: the container of a waiting run does not start`);
    await sleep(5);
  }
  // It has been told of the program, and what it did for that is over.
  await sleep(100);
  const size = privateMemory(child.pid ?? 0);
  call(rig, ['kill', rig.id, 'KILL']);
  await exit;
  return size;
}

/** @param {string | undefined} pid */
function isStarted(pid) {
  return pid !== undefined && (readIfThere(`/proc/${pid.trim()}/cmdline`)?.startsWith('sleep\0') ?? false);
}

/**
 * MiB on disk.
 * @param {Rig} rig
 */
function measureSize(rig) {
  return filesOf(rig).reduce((bytes, file) => bytes + fs.statSync(file).size, 0) / 2 ** 20;
}
