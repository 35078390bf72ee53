/**
 * Puts small faults into the sources of one folder and looks which of them its tests notice: `npm run test:mutation -- FOLDER
 * [--sample N] [--seed TEXT] [--jobs N] [--again]`, with FOLDER such as `plan` or `spec/rules`.
 *
 * Stryker makes the faults and runs, for each, the test files that reach it. With `--sample` only some top-level declarations, chosen
 * by the seed, are changed: as many as hold about N faults. With `--again` the last run's verdict counts where neither the source nor the
 * test that gave it has changed since. The report is `dist/mutation/FOLDER.json`; the survivors are printed, and
 * `test/mutation/SURVIVORS.md` says of those that stay why they do. Exit code 1 below the score that is wanted.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Stryker } from '@stryker-mutator/core';
import ts from 'typescript';
import { testsOf } from './tests-of.mjs';
import { isApart, runApart, thawOwn } from './surroundings.mjs';

const top = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const WANTED_SCORE = 85;
/** Faults for each line of a declaration, as these sources have them. */
const FAULTS_PER_LINE = 1.2;

/** What is generated, what only a machine with systemd shows anything of (test/vm), and what puts an end to the process that tries it. */
const LEFT_OUT = /^src\/(spec\/generated|cgroup\/systemd(-units)?\.ts|process\/leave\.ts)/;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string' },
    seed: { type: 'string', default: 'tsrun' },
    again: { type: 'boolean', default: false },
    jobs: { type: 'string', default: '2' },
  },
});
const [folder = ''] = positionals;
if (!fs.existsSync(path.join(top, 'src', folder)) || folder === '') {
  console.error(`test/mutation/run.mjs: wanted a folder of src/, found ${JSON.stringify(folder)}`);
  process.exit(2);
}
process.chdir(top);
if (!isApart()) process.exit(await runApart(process.argv.slice(1)));
// A test ends with its first failure, and Node starts faster without certificates.
process.env.TAP_BAIL = '1';
delete process.env.NODE_EXTRA_CA_CERTS;
const report = `dist/mutation/${folder.replaceAll('/', '-')}.json`;
const known = report.replace(/json$/, 'known.json');
// It would add the faults of other samples.
if (!values.again) fs.rmSync(known, { force: true });
const stryker = new Stryker({
  mutate: sampleOf(values.sample === undefined ? Infinity : Number(values.sample)),
  testRunner: 'together',
  plugins: ['@stryker-mutator/tap-runner', path.join(top, 'test/mutation/runner.mjs')],
  tap: {
    testFiles: testsOf(folder),
    nodeArgs: ['--import=./test/mutation/brief.mjs', 'dist/mutation/tests/all.mjs', '{{testFile}}'],
    forceBail: false,
  },
  // The tests as they are, bundled with the sources that hold the faults: a process starts in a tenth of a second.
  buildCommand: `node test/mutation/bundle.mjs ${folder}`,
  coverageAnalysis: 'perTest',
  ignorePatterns: ['dist', 'bundles/*/rootfs', '.tap', '.git'],
  reporters: ['json', 'clear-text', 'progress-append-only'],
  clearTextReporter: { logTests: false, reportTests: false, allowColor: false },
  jsonReporter: { fileName: report },
  incremental: true,
  incrementalFile: known,
  thresholds: { high: 95, low: WANTED_SCORE, break: WANTED_SCORE },
  concurrency: Number(values.jobs),
  timeoutMS: 3_000,
  tempDirName: 'dist/mutation/sandbox',
  disableTypeChecks: false,
  allowConsoleColors: false,
});
try {
  await stryker.runMutationTest();
} finally {
  thawOwn();
}

/**
 * Ranges of top-level declarations, in the order of their hashes, until they hold about so many faults.
 * @param {number} count
 */
function sampleOf(count) {
  const ranges = fs
    .readdirSync(path.join('src', folder), { recursive: true, encoding: 'utf8' })
    .map((name) => path.join('src', folder, name))
    .filter((name) => name.endsWith('.ts') && !LEFT_OUT.test(name))
    .flatMap(rangesOf);
  const order = (/** @type {string} */ text) => createHash('sha256').update(`${values.seed} ${text}`).digest('hex');
  ranges.sort((a, b) => (order(a.text) < order(b.text) ? -1 : 1));
  let faults = 0;
  const isWanted = (/** @type {{ lines: number }} */ { lines }) => {
    const isEnough = faults >= count;
    faults += lines * FAULTS_PER_LINE;
    return !isEnough;
  };
  return ranges.filter(isWanted).map(({ text }) => text);
}

/** @param {string} file */
function rangesOf(file) {
  const tree = ts.createSourceFile(file, fs.readFileSync(file, 'utf8'), ts.ScriptTarget.Latest);
  const line = (/** @type {number} */ position) => tree.getLineAndCharacterOfPosition(position).line + 1;
  return tree.statements
    .filter((node) => ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node) || ts.isVariableStatement(node))
    .map((node) => ({ first: line(node.getStart(tree)), last: line(node.end) }))
    .map(({ first, last }) => ({ text: `${file}:${first}-${last}`, lines: last - first + 1 }));
}
