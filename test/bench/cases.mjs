/** What is measured. Each case answers for one round of one runtime: milliseconds, KiB or MiB. */
import * as fs from 'node:fs';
import path from 'node:path';
import { call, callAll, peakMemory } from './rigs.mjs';

const SEQUENCE = 100;
const PARALLEL = 8;

/**
 * @typedef {import('./rigs.mjs').Rig} Rig
 * @typedef {'create' | 'start' | 'delete' | 'cycle'} Part
 * @typedef {object} Case
 * @property {string} name
 * @property {(rig: Rig) => number | Promise<number>} [measure]
 * @property {Part} [part] of those that a round of `measureParts` yields
 * @property {(rig: Rig) => Record<Part, number>} [measureParts]
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
  { name: `${PARALLEL} \`run\` at the same time`, rounds: 8, measure: measureParallel },
  { name: `${SEQUENCE} \`run\` in sequence`, rounds: 1, measure: measureSequence },
  { name: 'private memory of a created container', unit: 'KiB', rounds: 3, measure: measureMemory },
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
 * @param {Rig} rig
 * @param {string} bundle
 */
function run(rig, bundle) {
  return ['run', '--bundle', rig.bundle(bundle), rig.id];
}

/**
 * @param {Rig} rig
 * @param {readonly string[]} args
 */
function timed(rig, args) {
  const start = performance.now();
  call(rig, args);
  return performance.now() - start;
}

/** @param {Rig} rig */
function measureLife(rig) {
  const create = timed(rig, ['create', '--bundle', rig.bundle('true'), '--pid-file', rig.pidFile, rig.id]);
  const pid = fs.readFileSync(rig.pidFile, 'utf8');
  const start = timed(rig, ['start', rig.id]);
  // What /bin/true itself takes to end is nobody's merit.
  waitForEnd(pid);
  const end = timed(rig, ['delete', rig.id]);
  return { create, start, delete: end, cycle: create + start + end };
}

/** @param {string} pid */
function waitForEnd(pid) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const stat = readIfThere(`/proc/${pid}/stat`);
    if (stat === undefined || /\) [ZX] /.test(stat)) return;
    if (Date.now() > deadline) throw new Error(`process ${pid} did not end`);
  }
}

/** @param {string} file */
function readIfThere(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** @param {Rig} rig */
async function measureParallel(rig) {
  const ids = Array.from({ length: PARALLEL }, (_, index) => `${rig.id}-${index}`);
  const start = performance.now();
  await callAll(
    rig,
    ids.map((id) => ['run', '--bundle', rig.bundle('true'), id]),
  );
  return performance.now() - start;
}

/** @param {Rig} rig */
function measureSequence(rig) {
  const start = performance.now();
  for (let i = 0; i < SEQUENCE; i++) call(rig, run(rig, 'true'));
  return performance.now() - start;
}

/**
 * KiB that the init of a created, not started container shares with no other process (man 5 proc, smaps_rollup).
 * @param {Rig} rig
 */
function measureMemory(rig) {
  call(rig, ['create', '--bundle', rig.bundle('true'), '--pid-file', rig.pidFile, rig.id]);
  const text = fs.readFileSync(`/proc/${fs.readFileSync(rig.pidFile, 'utf8')}/smaps_rollup`, 'utf8');
  call(rig, ['delete', '--force', rig.id]);
  return [...text.matchAll(/^Private_\w+: +(\d+) kB$/gm)].reduce((sum, [, size]) => sum + Number(size), 0);
}

/**
 * MiB of the files the command is made of: the program, what it loads of its own, and on Node the engine.
 * @param {Rig} rig
 */
function measureSize({ binary }) {
  const files = binary.flatMap((file) => {
    const found = path.isAbsolute(file) ? file : findInPath(file);
    const directory = path.dirname(found);
    if (path.basename(found) === 'main.js')
      return ['main.js', 'command.js', 'command.cache'].map((n) => path.join(directory, n));
    if (path.basename(found) !== 'tsrun') return [found];
    return ['tsrun', 'tsrun-cold', 'koffi.node'].map((n) => path.join(directory, n));
  });
  return files.reduce((sum, file) => sum + fs.statSync(file).size, 0) / 2 ** 20;
}

/** @param {string} name */
function findInPath(name) {
  const found = (process.env.PATH ?? '')
    .split(':')

    .map((directory) => path.join(directory, name))
    .find((file) => fs.existsSync(file));
  if (found === undefined) throw new Error(`${name} is not in PATH`);
  return found;
}
