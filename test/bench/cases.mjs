/** What is measured. Each case answers for one round of one runtime: milliseconds, KiB or MiB. */
import * as fs from 'node:fs';
import path from 'node:path';
import { call, callAll, peakMemory } from './rigs.mjs';

const SEQUENCE = 100;
const PARALLEL = 8;

/** In the order of the report. `rounds` where a round takes long. `bundle` has to be one that all runtimes take. */
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

function run(rig, bundle) {
  return ['run', '--bundle', rig.bundle(bundle), rig.id];
}

function timed(rig, args) {
  const start = performance.now();
  call(rig, args);
  return performance.now() - start;
}

function measureLife(rig) {
  const create = timed(rig, ['create', '--bundle', rig.bundle('true'), '--pid-file', rig.pidFile, rig.id]);
  const pid = fs.readFileSync(rig.pidFile, 'utf8');
  const start = timed(rig, ['start', rig.id]);
  // What /bin/true itself takes to end is nobody's merit.
  waitForEnd(pid);
  const end = timed(rig, ['delete', rig.id]);
  return { create, start, delete: end, cycle: create + start + end };
}

function waitForEnd(pid) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const stat = readIfThere(`/proc/${pid}/stat`);
    if (stat === undefined || /\) [ZX] /.test(stat)) return;
    if (Date.now() > deadline) throw new Error(`process ${pid} did not end`);
  }
}

function readIfThere(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

async function measureParallel(rig) {
  const ids = Array.from({ length: PARALLEL }, (_, index) => `${rig.id}-${index}`);
  const start = performance.now();
  await callAll(
    rig,
    ids.map((id) => ['run', '--bundle', rig.bundle('true'), id]),
  );
  return performance.now() - start;
}

function measureSequence(rig) {
  const start = performance.now();
  for (let i = 0; i < SEQUENCE; i++) call(rig, run(rig, 'true'));
  return performance.now() - start;
}

/** KiB that the init of a created, not started container shares with no other process (man 5 proc, smaps_rollup). */
function measureMemory(rig) {
  call(rig, ['create', '--bundle', rig.bundle('true'), '--pid-file', rig.pidFile, rig.id]);
  const text = fs.readFileSync(`/proc/${fs.readFileSync(rig.pidFile, 'utf8')}/smaps_rollup`, 'utf8');
  call(rig, ['delete', '--force', rig.id]);
  return [...text.matchAll(/^Private_\w+: +(\d+) kB$/gm)].reduce((sum, [, size]) => sum + Number(size), 0);
}

/** MiB of the files the command is made of: the program, what it loads of its own, and on Node the engine. */
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

function findInPath(name) {
  const found = process.env.PATH.split(':')
    .map((directory) => path.join(directory, name))
    .find((file) => fs.existsSync(file));
  if (found === undefined) throw new Error(`${name} is not in PATH`);
  return found;
}
