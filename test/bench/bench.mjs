/**
 * `npm run bench`: tsrun beside the installed runc and crun, the same bundles, in alternation, as medians and ratios.
 *
 * Needs root and busybox-static. It prints tables and writes them to test/bench/RESULTS.md. A number is the wall time of a
 * command as its caller sees it, start of the process included; the CPU time beside it is the second opinion on a machine that
 * others use as well. `BENCH_ROUNDS=5 npm run bench` is for a first look.
 *
 * All of it happens in a mount namespace of its own. There the cgroup2 hierarchy of a hybrid layout is taken away, because crun
 * refuses such a layout; it is the same for all of them.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepareBundle } from '../../bundles/prepare.mjs';
import { ensureBuilt, run, top } from '../../bundles/ready.mjs';
import { parseJson } from '../../bundles/untyped.mjs';
import { CASES } from './cases.mjs';
import { describe } from './report.mjs';
import { accepts, call, childrenCpuMs, deleteAll, makeRigs } from './rigs.mjs';

/**
 * @typedef {import('./rigs.mjs').Rig} Rig
 * @typedef {import('./cases.mjs').Part} Part
 * @typedef {import('./report.mjs').Results} Results
 */

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 20);
/** The first rounds fill caches and do not count. */
const WARM_UP_ROUNDS = 2;
/** A slow machine gets fewer rounds. */
const TIME_LIMIT_MS = 300_000;
const UNIFIED = '/sys/fs/cgroup/unified';
const RESULTS = path.join(top, 'test/bench/RESULTS.md');
const INSIDE = 'TSRUN_BENCH_INSIDE';

async function main() {
  if (process.getuid?.() !== 0) return fail('bench needs root');
  if (process.env[INSIDE] === undefined) return enterNamespace();
  const hidesUnified = spawnSync('mountpoint', ['-q', UNIFIED]).status === 0;
  if (hidesUnified) spawnSync('umount', [UNIFIED], { stdio: 'inherit' });
  // State directories belong on a tmpfs, as in /run of any machine.
  spawnSync('mount', ['-t', 'tmpfs', 'tsrun-bench', '/mnt'], { stdio: 'inherit' });
  const directory = fs.mkdtempSync('/mnt/tsrun-bench-');
  const rigs = makeRigs(directory);
  const results = await measureAll(rigs);
  const [first] = rigs;
  if (first === undefined) return fail('no runtime runs here');
  const library = measureLibrary(first.bundle('true'));
  const report = describe({ rigs, results, library, hidesUnified });
  console.log(report);
  fs.writeFileSync(RESULTS, report);
  return 0;
}

/** Builds what is missing, then starts this again in a mount namespace. Returns its exit code. */
function enterNamespace() {
  if (!ensureBuilt()) return 1;
  if (run(process.execPath, ['packaging/executable.mjs']) !== 0) return 1;
  prepareBundle('busybox');
  const argv = ['--mount', '--propagation', 'private', process.execPath, fileURLToPath(import.meta.url)];
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
  const skips = CASES.map(({ bundle }) => bundle !== undefined && !rigs.every((rig) => accepts(rig, bundle)));
  const deadline = Date.now() + TIME_LIMIT_MS;
  try {
    for (const rig of rigs) call(rig, ['run', '--detach', '--bundle', rig.bundle('sleep'), rig.runningId]);
    for (let round = -WARM_UP_ROUNDS; round < ROUNDS && Date.now() < deadline; round++) {
      for (const [caseIndex, one] of CASES.entries()) {
        const { rounds = ROUNDS, measure, measureParts } = one;
        const take = measureParts ?? measure;
        const isWarmUp = round < 0 && rounds === ROUNDS;
        if (skips[caseIndex] || round >= rounds || (round < 0 && !isWarmUp)) continue;
        if (take === undefined) continue;
        for (const [rigIndex, rig] of rigs.entries()) {
          const before = childrenCpuMs();
          const value = await take(rig);
          const cpuMs = childrenCpuMs() - before;
          if (!isWarmUp) keep(results, { caseIndex, rigIndex, value, cpuMs });
        }
      }
    }
  } finally {
    for (const rig of rigs) deleteAll(rig, [rig.id, rig.runningId]);
  }
  return results;
}

/**
 * A round that measured several parts at once goes to the cases of these parts.
 * @param {Results} results
 * @param {{ caseIndex: number, rigIndex: number, value: number | Record<Part, number>, cpuMs: number }} round
 */
function keep(results, { caseIndex, rigIndex, value, cpuMs }) {
  results[caseIndex]?.[rigIndex]?.cpuMs.push(cpuMs);
  if (typeof value === 'number') {
    results[caseIndex]?.[rigIndex]?.values.push(value);
    return;
  }
  for (const [index, { part }] of CASES.entries())
    if (part !== undefined) results[index]?.[rigIndex]?.values.push(value[part]);
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
