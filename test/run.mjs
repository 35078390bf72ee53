/**
 * Runs the checks and tests, from a fresh clone on: `node test/run.mjs [check|unit|live|conformance|security|engines|packages|planner|all|full] [FILE ...]`.
 *
 * - `check`  types, lint, format, and the rules of the source tree (test/rules)
 * - `unit`   every test but those of test/live, test/security, test/engines, test/packages and test/vm, in a few processes (test/harness)
 * - `live`   test/live: real containers, made by the executable; a part of it once more by the command on Node; it needs root
 * - `conformance` the suite of conformance/ on the built command; it needs root
 * - `security` test/security: attacks, faults, hostile input, concurrency; it needs root, and counts what it tried
 * - `engines` test/engines: podman, buildah, containerd and docker call tsrun, and runc for comparison; it needs root and them.
 *   With `--new`: a part of it with containerd and docker of Debian's unstable suite, which are fetched and not installed
 * - `packages` test/packages: npm's package and Debian's are made, installed and used; it needs root and mmdebstrap
 * - `planner` live, security and engines once more with a planner beside each file
 * - `all`    all of them, one after the other
 * - `full`   the same with every live test on Node and all but unit tests with a planner too, races of 500 rounds, and all that runs in the virtual machines; some hours
 *
 * Whatever is left on the machine in the end (test/leftovers.mjs) is a failure too.
 * The last line is `N passed, N failed`, with `, N skipped` where something was. A command of `check` counts as one.
 */
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { HintError, prepareBundle } from '../bundles/prepare.mjs';
import { command, ensureBuilt, ensureExecutable, top } from '../bundles/ready.mjs';
import { fetchNewerEngines } from './engines/newer.mjs';
import { runChecks } from './harness/check.mjs';
import { digest } from './harness/digest.mjs';
import { sumReports } from './harness/planner-reports.mjs';
import { runCaptured } from './harness/run-captured.mjs';
import { readSummary } from './harness/summary.mjs';
import { findLeftovers, takeInventory } from './leftovers.mjs';
import { countWhile } from './security/count.mjs';
import { reasonAgainst } from './vm/architectures.mjs';

const TAP = path.join(top, 'node_modules/tap/dist/esm/run.mjs');

/** As .taprc says. */
const USUAL_SECONDS = 300;

/** One file of test/engines or test/security makes hundreds of containers, the former by several commands of the engine each. */
const LONG_SECONDS = 900;

/** What depends on the engine that tsrun runs on: waits, terminals, signals, descriptors, and other programs' import of it. */
const ON_NODE = ['exec', 'foreground', 'hooks', 'library', 'lifecycle'].map((name) => `test/live/${name}.test.ts`);

/** Environment: how many rounds each race of the tests runs. */
const ROUNDS = 'TSRUN_TEST_ROUNDS';

/** A file of races that run hundreds of rounds each. */
const RACE_SECONDS = 7200;

/** Second tries of a whole run. */
const RETRIES_MAX = 3;
let retries = 0;

/**
 * @typedef {import('./harness/summary.mjs').Counts} Counts
 * @typedef {{ options?: readonly string[], environment?: Readonly<Record<string, string>> }} Settings
 */

/** Environment: where each file has its own planner, on Node or on the engine of the executable; and where it says what that has done. */
const PLANNER = 'TSRUN_TEST_PLANNER';
const PLANNER_COUNTS = 'TSRUN_TEST_PLANNER_COUNTS';

/** What a planner has to do of what the table calls warm; the others were lost on the way, or to a bug. */
const SERVED_LEAST = 0.95;

/** Of files that run with a planner too where not everything does: one of each kind of command. */
const WITH_PLANNER = ['exec', 'foreground', 'lifecycle', 'limits', 'process', 'state-directory'].map(
  (name) => `test/live/${name}.test.ts`,
);

/** Files whose planners are part of their tests: nothing is other with one beside them. */
const STARTS_PLANNERS = /^test\/live\/planner-/;

const total = { passed: 0, failed: 0, skipped: 0 };
const [mode = 'all', ...words] = process.argv.slice(2);
/** Of `engines`: with those of Debian's unstable suite in place of the machine's. */
const isNewer = words.includes('--new');
const files = words.filter((word) => word !== '--new');

/** @type {Readonly<Record<string, readonly (() => Promise<void>)[]>>} */
const MODES = {
  check: [check],
  unit: [unit],
  live: [live],
  conformance: [conformance],
  security: [security],
  engines: [engines],
  all: [check, unit, live, conformance, security, engines],
  full: [check, unit, live, conformance, security, engines, packages, withPlanner, machine],
  packages: [packages],
  planner: [withPlanner],
};
const parts = MODES[mode];
if (parts === undefined) {
  console.error(`test/run.mjs: unknown word ${JSON.stringify(mode)}; wanted ${Object.keys(MODES).join(', ')}`);
  process.exit(2);
}
if (mode === 'full') process.env[ROUNDS] ??= '500';
if (ensureBuilt()) await runParts(parts);
else total.failed += 1;
finish();

/** @param {readonly (() => Promise<void>)[]} parts */
async function runParts(parts) {
  const before = takeInventory();
  for (const part of parts) await part();
  await reportLeftovers(before);
}

async function check() {
  add(await runChecks(() => packed('rules', testFiles('test/rules'))));
}

async function unit() {
  const isUnit = (/** @type {string} */ file) => !/^test\/(live|security|engines|packages|vm)\//.test(file);
  await packed('unit', files.length > 0 ? files : testFiles('test').filter(isUnit));
}

async function live() {
  const reason = reasonAgainstLive();
  if (reason !== undefined) {
    console.log(`live tests skipped: ${reason}`);
    total.skipped += 1;
    return;
  }
  if (!hasExecutable('live')) return;
  const options = [`--timeout=${secondsFor(USUAL_SECONDS)}`];
  await tap('live', files.length > 0 ? files : testFiles('test/live'), { options });
  const all = testFiles('test/live');
  const chosen = mode === 'full' ? all : all.filter((file) => ON_NODE.includes(file));
  const onNode = files.length > 0 ? files.filter((file) => chosen.includes(file)) : chosen;
  await tap('live on Node', onNode, { options, environment: { TSRUN: command } });
  if (mode === 'full' || process.env[PLANNER] !== undefined) return;
  const beside = files.length > 0 ? files.filter((file) => WITH_PLANNER.includes(file)) : WITH_PLANNER;
  await countPlanner((environment) => tap('live with a planner', beside, { options, environment }));
}

/** Live tests, security and engines with planners; those files that were named, where some are. */
async function withPlanner() {
  const reason = reasonAgainstLive();
  if (reason !== undefined) {
    console.log(`tests with a planner skipped: ${reason}`);
    total.skipped += 1;
    return;
  }
  if (!hasExecutable('with a planner')) return;
  await countPlanner(async (environment) => {
    for (const [folder, seconds] of /** @type {const} */ ([
      ['live', USUAL_SECONDS],
      ['security', LONG_SECONDS],
      ['engines', LONG_SECONDS],
    ])) {
      const all = testFiles(`test/${folder}`).filter((file) => !STARTS_PLANNERS.test(file));
      const chosen = files.length > 0 ? all.filter((file) => files.includes(file)) : all;
      const settings = { options: [`--timeout=${secondsFor(seconds)}`], environment };
      await (folder === 'engines' ? tapWithRetries : tap)(`${folder} with a planner`, chosen, settings);
    }
  });
}

/**
 * Runs tests with planners, prints what those have done, and fails when they were of little use.
 * @param {(environment: Readonly<Record<string, string>>) => Promise<void>} run
 */
async function countPlanner(run) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tsrun-planner-'));
  const file = path.join(directory, 'counts');
  try {
    await run({ [PLANNER]: process.env[PLANNER] ?? 'node', [PLANNER_COUNTS]: file });
    if (!fs.existsSync(file)) return;
    const { text, share } = sumReports(fs.readFileSync(file, 'utf8'));
    console.log(text);
    if (share >= SERVED_LEAST) return;
    console.log(`planners served too few of what they should: wanted ${SERVED_LEAST * 100} %`);
    total.failed += 1;
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

/**
 * How long a file may take: where somebody asks for many rounds, longer than usual.
 * @param {number} usual
 */
function secondsFor(usual) {
  return process.env[ROUNDS] === undefined ? usual : RACE_SECONDS;
}

/** @param {string} part */
function hasExecutable(part) {
  if (ensureExecutable()) return true;
  console.log(`${part}: packaging/executable.mjs failed`);
  total.failed += 1;
  return false;
}

/** Requirements that are disputed count as skipped here: nothing depends on what came of them. */
async function conformance() {
  console.log('\nconformance: the built command');
  const shows = (/** @type {string} */ line) =>
    /^ *not ok |^ +ok .* # SKIP|^# |^ +(section|message|wanted|found): /.test(line);
  let isFailure = false;
  const { code, output } = await runCaptured(process.execPath, [path.join(top, 'conformance/run.mjs')], {
    shows: (line) => {
      if (/^ *(not )?ok /.test(line)) isFailure = line.includes('not ok ') && !line.includes(' # TODO');
      return shows(line) && (isFailure || !/^ +(section|message|wanted|found): /.test(line));
    },
  });
  const counts = /^# .*: (\d+) passed, (\d+) failed, (\d+) skipped, (\d+) disputed$/m
    .exec(output)
    ?.slice(1)
    .map(Number);
  const reason = /^1\.\.0 # SKIP.*$/m.exec(output)?.[0];
  if (counts === undefined && reason !== undefined) {
    console.log(reason);
    total.skipped += 1;
    return;
  }
  const [passed = 0, failed = 0, skipped = 0, disputed = 0] = counts ?? [];
  total.passed += passed;
  total.failed += Math.max(failed, code === 0 ? 0 : 1);
  total.skipped += skipped + disputed;
}

async function security() {
  const reason = reasonAgainstLive();
  if (reason !== undefined) {
    console.log(`security tests skipped: ${reason}`);
    total.skipped += 1;
    return;
  }
  if (!hasExecutable('security')) return;
  const tests = files.length > 0 ? files : testFiles('test/security');
  await countWhile(() => tap('security', tests, { options: [`--timeout=${secondsFor(LONG_SECONDS)}`] }));
}

/** A file whose engine is not installed skips its tests and says what it lacks. */
async function engines() {
  const reason = reasonAgainstLive();
  if (reason !== undefined) {
    console.log(`tests with engines skipped: ${reason}`);
    total.skipped += 1;
    return;
  }
  if (!hasExecutable('engines')) return;
  const options = [`--timeout=${LONG_SECONDS}`];
  const { tests = testFiles('test/engines'), environment = {} } = isNewer ? fetchNewerEngines() : {};
  if (tests.length === 0) total.skipped += 1;
  else await tapWithRetries('engines', files.length > 0 ? files : tests, { options, environment });
}

/** Some minutes: packages are built from nothing, and Debian trees are fetched the first time. */
async function packages() {
  const tests = files.length > 0 ? files : testFiles('test/packages');
  await tap('packages', tests, { options: [`--timeout=${LONG_SECONDS}`] });
}

/** Everything that has a meaning in the virtual machine of one architecture, and a selection in that of the other (test/vm/README.md). */
async function machine() {
  const shows = (/** @type {string} */ line) => line !== '';
  for (const [architecture, extent] of /** @type {const} */ ([
    ['amd64', ['--all']],
    ['arm64', []],
  ])) {
    console.log(`\nvirtual machine: ${architecture}`);
    const reason = reasonAgainst(architecture);
    if (reason !== undefined) {
      console.log(`its tests are skipped: ${reason}`);
      total.skipped += 1;
      continue;
    }
    const args = ['test/vm/run.mjs', '--arch', architecture, ...extent];
    const { code, output } = await runCaptured(process.execPath, args, { shows });
    const last = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].at(-1);
    const [passed = 0, failed = 0, skipped = 0] = (last?.slice(1) ?? []).map(
      (/** @type {string | undefined} */ digits) => Number(digits ?? 0),
    );
    add({ passed, failed: Math.max(failed, code === 0 ? 0 : 1), skipped });
  }
}

/** @param {readonly string[]} before */
async function reportLeftovers(before) {
  const left = await findLeftovers(before);
  for (const line of left) console.log(`left behind: ${line}`);
  total.failed += left.length;
}

function reasonAgainstLive() {
  if (process.getuid?.() !== 0) return 'they need root';
  try {
    prepareBundle('busybox');
    return undefined;
  } catch (error) {
    if (error instanceof HintError) return error.message;
    throw error;
  }
}

/**
 * Test files below a directory, relative to the project, sorted.
 * @param {string} directory
 */
function testFiles(directory) {
  const entries = fs.readdirSync(path.join(top, directory), { recursive: true, encoding: 'utf8' });
  return entries
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => path.join(directory, name))
    .sort();
}

/**
 * Runs test files in a few processes, and adds what they count. What runs them is made of installed packages.
 * @param {string} name
 * @param {readonly string[]} tests
 */
async function packed(name, tests) {
  const { runPacked } = await import('./harness/run-packed.mjs');
  const started = Date.now();
  console.log(`\n${name}: ${tests.length} test files`);
  const { processes, ...counts } = await runPacked(tests, {
    seconds: USUAL_SECONDS,
    picker: digest,
    print: (line) => {
      console.log(line);
    },
  });
  console.log(`# ${processes} processes, ${Math.round((Date.now() - started) / 1000)} s`);
  add(counts);
}

/**
 * Runs test files, a process each, and adds what tap counts.
 * @param {string} name
 * @param {readonly string[]} tests
 * @param {Settings} [settings]
 */
async function tap(name, tests, settings) {
  if (tests.length === 0) return;
  console.log(`\n${name}: ${tests.length} test files`);
  add(await runTap(name, tests, settings));
}

/**
 * The same, two files at a time, each once more when it fails: engines have races of their own, which no test can mend. Every second
 * try is printed; with too many of them the run fails.
 * @param {string} name
 * @param {readonly string[]} tests
 * @param {Settings} [settings]
 */
async function tapWithRetries(name, tests, settings) {
  if (tests.length === 0) return;
  console.log(`\n${name}: ${tests.length} test files`);
  const left = [...tests];
  const work = async () => {
    for (let test = left.shift(); test !== undefined; test = left.shift()) {
      let counts = await runTap(name, [test], settings);
      if (counts.failed > 0 && retries++ < RETRIES_MAX) {
        console.log(`${test}: once more (retry ${retries} of this run)`);
        counts = await runTap(name, [test], settings);
      }
      add(counts);
    }
  };
  await Promise.all([work(), work()]);
}

/**
 * @param {string} name
 * @param {readonly string[]} tests
 * @param {Settings} [settings]
 * @returns {Promise<Counts>}
 */
async function runTap(name, tests, { options = [], environment = {} } = {}) {
  const args = [TAP, 'run', '--reporter=tap', ...options, ...tests];
  const { code, output } = await runCaptured(process.execPath, args, { shows: digest(), environment });
  const counts = output.split('\n').map(readSummary).findLast(Boolean);
  if (counts === undefined) {
    console.log(`${name}: tap ended with code ${code} and no summary`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  return { ...counts, failed: Math.max(counts.failed, code === 0 ? 0 : 1) };
}

/** @param {Counts} counts */
function add({ passed, failed, skipped }) {
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
}

function finish() {
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  process.exitCode = total.failed === 0 ? 0 : 1;
}
