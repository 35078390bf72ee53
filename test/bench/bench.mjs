/**
 * `npm run bench`: tsrun beside the installed runc and crun, the same bundles, in alternation, as medians and ratios.
 *
 * Needs root and busybox-static. It prints tables, writes them to test/bench/RESULTS.md and draws the first (chart.mjs). A number is the wall time of a
 * command as its caller sees it, start of the process included; the CPU time beside it is the second opinion on a machine that
 * others use as well: that of the command, of what it started and waited for, and of the planner. `npm run bench -- --rounds 3` is for a
 * first look, and `--only TEXT` for the rows alone that have the text in their names, of which no file is written; with `--engines` it
 * measures commands of engines in place of all this (run-engines.mjs). The planner is one on Node; `--planner executable` has that of the executable.
 *
 * All of it happens in a mount namespace of its own. There the cgroup2 hierarchy of a hybrid layout is taken away, because crun
 * refuses such a layout; it is the same for all of them. A planner runs there for one of them.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { prepareBundle } from '../../bundles/prepare.mjs';
import { ensureExecutable, executable, top } from '../../bundles/ready.mjs';
import { parseJson } from '../../bundles/untyped.mjs';
import { CASES } from './cases.mjs';
import { writeChart } from './chart.mjs';
import { privateParts } from './cpu.mjs';
import { ENGINES, plannerStatus, startPlanner } from './planner.mjs';
import { describe } from './report.mjs';
import { accepts, call, deleteAll, makeRigs, withRig } from './rigs.mjs';
import { benchEngines } from './run-engines.mjs';

/**
 * @typedef {import('./rigs.mjs').Rig} Rig
 * @typedef {import('./rigs.mjs').Sample} Sample
 * @typedef {import('./cases.mjs').Case} Case
 * @typedef {import('./report.mjs').Results} Results
 */

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    engines: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    planner: { type: 'string', default: 'node' },
  },
});
const ROUNDS = Number(options.rounds);
/** How many containers a planner has made when its memory is read for the last time; fewer for a first look. */
const CONTAINERS = ROUNDS < 20 ? 100 : 1000;
/** The first rounds fill caches and do not count. */
const WARM_UP_ROUNDS = 2;
/** So many containers a planner has made before: it is one that stays, and its engine compiles what is called often. */
const PLANNER_WARM_UP = 100;
/** A slow machine gets fewer rounds. */
const TIME_LIMIT_MS = 900_000;
const UNIFIED = '/sys/fs/cgroup/unified';
const RESULTS = path.join(top, 'test/bench/RESULTS.md');
const INSIDE = 'TSRUN_BENCH_INSIDE';

async function main() {
  if (process.getuid?.() !== 0) return fail('bench needs root');
  if (!ENGINES.includes(options.planner)) return fail(`--planner takes ${ENGINES.join(' or ')}`);
  if (options.engines) return benchEngines({ rounds: ROUNDS, only: options.only });
  if (process.env[INSIDE] === undefined) return enterNamespace();
  const hidesUnified = spawnSync('mountpoint', ['-q', UNIFIED]).status === 0;
  if (hidesUnified) spawnSync('umount', [UNIFIED], { stdio: 'inherit' });
  // State directories belong on a tmpfs, as in /run of any machine.
  spawnSync('mount', ['-t', 'tmpfs', 'tsrun-bench', '/mnt'], { stdio: 'inherit' });
  const directory = fs.mkdtempSync('/mnt/tsrun-bench-');
  const planner = await startPlanner(options.planner);
  try {
    const rigs = makeRigs(directory, planner.pid);
    const [first] = rigs;
    if (first === undefined) return fail('no runtime runs here');
    warmUp(first);
    const results = await measureAll(rigs);
    const memory = measurePlanner(first, planner.pid);
    const library = measureLibrary(first.bundle('true'));
    const report = describe({ rigs, results, library, memory, hidesUnified, engine: options.planner });
    console.log(report);
    if (options.only === '' && options.planner === 'node') {
      fs.writeFileSync(RESULTS, report);
      writeChart();
    }
  } finally {
    await planner.stop();
  }
  return 0;
}

/**
 * The commands that are measured, for the planner.
 * @param {Rig} rig
 */
function warmUp(rig) {
  for (let i = 0; i < PLANNER_WARM_UP; i++) {
    call(rig, ['create', '--bundle', rig.bundle('sleep'), rig.id]);
    call(rig, ['start', rig.id]);
    call(rig, ['exec', rig.id, 'true']);
    call(rig, ['state', rig.id]);
    call(rig, ['delete', '--force', rig.id]);
    call(rig, ['run', '--bundle', rig.bundle('true'), rig.id]);
  }
}

/**
 * Private memory of the planner, half way and in the end, and what it says of itself.
 * @param {Rig} rig
 * @param {number} pid
 * @returns {import('./report.mjs').PlannerMemory}
 */
function measurePlanner(rig, pid) {
  const measure = () => {
    for (let i = 0; i < CONTAINERS / 2; i++) call(rig, ['run', '--bundle', rig.bundle('true'), rig.id]);
    return privateParts(pid);
  };
  return { containers: CONTAINERS, half: measure(), whole: measure(), status: plannerStatus(executable) };
}

/** Builds what is missing, then starts this again in a mount namespace. Returns its exit code. */
function enterNamespace() {
  if (!ensureExecutable()) return 1;
  prepareBundle('busybox');
  const argv = [
    '--mount',
    '--propagation',
    'private',
    process.execPath,
    fileURLToPath(import.meta.url),
    ...process.argv.slice(2),
  ];
  const { status } = spawnSync('unshare', argv, {
    stdio: 'inherit',
    // Node reads the file of NODE_EXTRA_CA_CERTS at every start, which is no business of a runtime.
    env: { ...process.env, [INSIDE]: '1', NODE_EXTRA_CA_CERTS: undefined },
  });
  return status ?? 1;
}

/** @param {string} message */
function fail(message) {
  console.error(`tsrun: ${message}`);
  return 1;
}

/**
 * Case index -> runtime index -> values and CPU times, one for each round; without values where not all runtimes can be
 * measured. The runtimes take turns, so that the machine's moods hit all alike.
 * @param {readonly Rig[]} rigs
 */
async function measureAll(rigs) {
  /** @type {Results} */
  const results = CASES.map(() => rigs.map(() => ({ values: [], cpuMs: [] })));
  const skips = [];
  for (const one of CASES)
    skips.push(!isWanted(one) || (one.bundle !== undefined && !(await allAccept(rigs, one.bundle))));
  const deadline = Date.now() + TIME_LIMIT_MS;
  try {
    for (const rig of rigs)
      await withRig(rig, () => {
        call(rig, ['run', '--detach', '--bundle', rig.bundle('sleep'), rig.runningId]);
      });
    for (let round = -WARM_UP_ROUNDS; round < ROUNDS && Date.now() < deadline; round++) {
      for (const [caseIndex, one] of CASES.entries()) {
        const { rounds = ROUNDS } = one;
        const isWarmUp = round < 0 && rounds === ROUNDS;
        if (skips[caseIndex] || round >= rounds || (round < 0 && !isWarmUp)) continue;
        for (const [rigIndex, rig] of rigs.entries()) {
          const samples = await withRig(rig, () => measureOnce(one, rig));
          if (!isWarmUp) keep(results, { caseIndex, rigIndex, samples });
        }
      }
    }
  } finally {
    for (const rig of rigs)
      await withRig(rig, () => {
        deleteAll(rig, [rig.id, rig.runningId]);
      });
  }
  return results;
}

/**
 * By its name, or those of its parts.
 * @param {Case} one
 */
function isWanted({ name, measureParts }) {
  const isNamed = (/** @type {string} */ text) => text.includes(options.only);
  return (
    isNamed(name) || (measureParts !== undefined && CASES.some(({ name, part }) => part !== undefined && isNamed(name)))
  );
}

/**
 * @param {readonly Rig[]} rigs
 * @param {string} bundle
 */
async function allAccept(rigs, bundle) {
  for (const rig of rigs) if (!(await withRig(rig, () => accepts(rig, bundle)))) return false;
  return true;
}

/**
 * What a round yields: its own sample under no name, or those of parts.
 * @param {Case} one
 * @param {Rig} rig
 * @returns {Promise<Readonly<Record<string, Sample>>>}
 */
async function measureOnce({ measure, measureParts }, rig) {
  if (measureParts !== undefined) return measureParts(rig);
  if (measure === undefined) return {};
  const sample = await measure(rig);
  if (sample === undefined) return {};
  return { '': typeof sample === 'number' ? { value: sample, cpuMs: NaN } : sample };
}

/**
 * A round that measured several parts at once goes to the cases of these parts.
 * @param {Results} results
 * @param {{ caseIndex: number, rigIndex: number, samples: Readonly<Record<string, Sample>> }} round
 */
function keep(results, { caseIndex, rigIndex, samples }) {
  for (const [part, { value, cpuMs }] of Object.entries(samples)) {
    const index = part === '' ? caseIndex : CASES.findIndex((other) => other.part === part);
    results[index]?.[rigIndex]?.values.push(value);
    results[index]?.[rigIndex]?.cpuMs.push(cpuMs);
  }
}

/**
 * @param {string} bundle
 * @returns {import('./report.mjs').Library}
 */
function measureLibrary(bundle) {
  const file = path.join(top, 'test/bench/library.mjs');
  const { status, stdout } = spawnSync(process.execPath, [file, bundle], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`library.mjs: exit code ${status}`);
  return /** @type {import('./report.mjs').Library} */ (parseJson(stdout));
}

process.exitCode = await main();
