/**
 * The checks of `npm run check`. Each keeps what it has seen, below node_modules/.cache or dist, and looks again only where that can
 * have changed.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import path from 'node:path';
import { top } from '../../bundles/ready.mjs';
import { runCaptured } from './run-captured.mjs';

const CACHE = 'node_modules/.cache/tsrun';
const LINT_CACHE = `${CACHE}/eslint`;
/** What lint has seen while the state that it belongs to is not known yet. */
const NEW = 'new';

/** Folders whose files are linted but not compiled to declarations. */
const CHECKED = ['bundles', 'conformance', 'docs', 'packaging', 'schemas', 'test'];
const SETTINGS = ['eslint.config.js', 'tsconfig.base.json', 'tsconfig.test.json', 'package-lock.json'];

/**
 * Two at a time: lint takes about as long as all the rest.
 * @param {() => Promise<void>} more what is done beside lint when the checks of here are through
 * @returns {Promise<import('./summary.mjs').Counts>}
 */
export async function runChecks(more) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const pass = async (/** @type {string} */ name, /** @type {string} */ program, /** @type {string[]} */ ...args) => {
    const { code, output } = await runCaptured(path.join(top, 'node_modules/.bin', program), args);
    console.log(`${code === 0 ? 'ok' : 'FAILED'}  ${name}`);
    if (code !== 0) console.log(output);
    counts[code === 0 ? 'passed' : 'failed'] += 1;
    return code === 0;
  };
  const lint = (/** @type {string[]} */ ...cache) => pass('lint', 'eslint', ...cache, '.');
  // Which cache is good is known when src is compiled: where there is none, nothing is waited for.
  const isCold = listed(LINT_CACHE).every((name) => name === NEW);
  if (isCold) fs.rmSync(path.join(top, LINT_CACHE, NEW), { force: true });
  const early = isCold ? lint(...lintCache(NEW)) : undefined;
  const isCompiled = await pass('types of src', 'tsc', '-b');
  const others = async () => {
    await pass('types of test and scripts', 'tsc', '-p', 'tsconfig.test.json');
    const cache = ['--cache', '--cache-strategy=content', `--cache-location=${CACHE}/prettier`];
    await pass('format', 'prettier', '--check', '--log-level=warn', ...cache, '.');
    await more();
  };
  await Promise.all([early ?? lint(...(isCompiled ? lintCache(nameOfState()) : [])), others()]);
  if (isCold && isCompiled && listed(LINT_CACHE).includes(NEW))
    fs.renameSync(path.join(top, LINT_CACHE, NEW), path.join(top, LINT_CACHE, nameOfState()));
  return counts;
}

/**
 * What is found in a file depends on the types of what it imports as well, of which eslint's own cache knows nothing. So there is a
 * cache for each state of all that a file can import: the declarations of src, whole files elsewhere. What is behind a declaration,
 * and a test file, which nobody imports (test/rules), matters to that file alone. The caches of other states, which will hardly come
 * back, are removed.
 */
function nameOfState() {
  const hash = createHash('sha256');
  const declarations = filesBelow('dist/lib').filter((file) => file.endsWith('.d.ts'));
  const generated = filesBelow('src/spec/generated');
  const others = CHECKED.flatMap(filesBelow).filter((file) => /\.(ts|mjs)$/.test(file) && !file.endsWith('.test.ts'));
  for (const file of [...SETTINGS, ...declarations, ...generated, ...others])
    hash
      .update(`${file}\0`)
      .update(fs.readFileSync(path.join(top, file)))
      .update('\0');
  const name = hash.digest('hex').slice(0, 16);
  for (const old of listed(LINT_CACHE))
    if (old !== name && old !== NEW) fs.rmSync(path.join(top, LINT_CACHE, old), { force: true });
  return name;
}

/** @param {string} name */
function lintCache(name) {
  return ['--cache', '--cache-strategy=content', `--cache-location=${LINT_CACHE}/${name}`];
}

/**
 * Sorted, relative to the project; a rootfs of bundles/ has none of the project's files.
 * @param {string} directory
 * @returns {string[]}
 */
function filesBelow(directory) {
  const entries = fs.readdirSync(path.join(top, directory), { withFileTypes: true });
  return entries
    .flatMap((entry) => {
      const file = `${directory}/${entry.name}`;
      if (entry.isDirectory()) return entry.name === 'rootfs' ? [] : filesBelow(file);
      return entry.isFile() ? [file] : [];
    })
    .sort();
}

/**
 * @param {string} directory
 * @returns {string[]} nothing where there is none
 */
function listed(directory) {
  return fs.existsSync(path.join(top, directory)) ? fs.readdirSync(path.join(top, directory)) : [];
}
