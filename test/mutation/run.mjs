/**
 * Puts small faults into the sources of one folder and looks which of them its tests notice: `npm run test:mutation -- FOLDER
 * [--sample N] [--seed TEXT]`, with FOLDER such as `plan` or `spec/rules`.
 *
 * Stryker makes the faults and runs, for each, the test files that reach it. With `--sample` only some top-level declarations, chosen
 * by the seed, are changed: as many as hold about N faults. The report is `dist/mutation/FOLDER.json`; the survivors are printed, and
 * `test/mutation/SURVIVORS.md` says of those that stay why they do. Exit code 1 below the score that is wanted.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Stryker } from '@stryker-mutator/core';
import ts from 'typescript';

const top = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const WANTED_SCORE = 85;
/** Faults for each line of a declaration, as these sources have them. */
const FAULTS_PER_LINE = 1.2;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { sample: { type: 'string' }, seed: { type: 'string', default: 'tsrun' } },
});
const [folder = ''] = positionals;
if (!fs.existsSync(path.join(top, 'src', folder)) || folder === '') {
  console.error(`test/mutation/run.mjs: wanted a folder of src/, found ${JSON.stringify(folder)}`);
  process.exit(2);
}
process.chdir(top);
const stryker = new Stryker({
  mutate:
    values.sample === undefined ? [`src/${folder}/**/*.ts`, '!src/spec/generated/**'] : sampleOf(Number(values.sample)),
  testRunner: 'tap',
  plugins: ['@stryker-mutator/tap-runner'],
  tap: { testFiles: ['dist/mutation/tests/**/*.mjs'], forceBail: false },
  // The tests as they are, bundled with the sources that hold the faults: a process starts in a tenth of a second.
  buildCommand: `node test/mutation/bundle.mjs ${folder}`,
  coverageAnalysis: 'perTest',
  ignorePatterns: ['dist', 'bundles/*/rootfs', 'bundles/*/layers', '.tap', '.git'],
  reporters: ['json', 'clear-text'],
  clearTextReporter: { logTests: false, reportTests: false, allowColor: false },
  jsonReporter: { fileName: `dist/mutation/${folder.replaceAll('/', '-')}.json` },
  thresholds: { high: 95, low: WANTED_SCORE, break: WANTED_SCORE },
  concurrency: 2,
  timeoutMS: 20_000,
  tempDirName: 'dist/mutation/sandbox',
  disableTypeChecks: false,
  allowConsoleColors: false,
});
await stryker.runMutationTest();

/**
 * Ranges of top-level declarations, in the order of their hashes, until they hold about so many faults.
 * @param {number} count
 */
function sampleOf(count) {
  const ranges = fs
    .readdirSync(path.join('src', folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('generated'))
    .flatMap((name) => rangesOf(path.join('src', folder, name)));
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
