/**
 * Writes `docs/errors.md`: what tsrun, runc and crun say of the same broken inputs, those of test/live/broken-inputs: `npm run docs:errors`.
 * It needs root, and runc and crun on the PATH.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureExecutable, top } from '../bundles/ready.mjs';
import { load } from '../bundles/untyped.mjs';
import { packProgram } from '../test/harness/pack.mjs';

const TARGET = path.join(top, 'docs/errors.md');
const RUNTIMES = /** @type {const} */ (['tsrun', 'runc', 'crun']);

/** @typedef {import('../test/live/broken-inputs/compare.ts').Compared} Compared */

if (process.geteuid?.() !== 0) throw new Error('npm run docs:errors needs root: it runs containers');
if (!ensureExecutable()) process.exit(1);
const directory = path.join(top, `node_modules/.cache/tsrun/errors-${process.pid}`);
try {
  const file = await packProgram('test/live/broken-inputs/compare.ts', directory);
  const { compareRuntimes } = /** @type {typeof import('../test/live/broken-inputs/compare.ts')} */ (
    await load(pathToFileURL(file).href)
  );
  fs.writeFileSync(TARGET, render(await compareRuntimes(RUNTIMES)));
} finally {
  fs.rmSync(directory, { recursive: true, force: true });
}

/** @param {readonly Compared[]} subjects */
function render(subjects) {
  const count = subjects.reduce((sum, { rows }) => sum + rows.length, 0);
  const lines = [
    '# What is said when something is broken',
    '',
    `What tsrun, ${version('runc')} and ${version('crun')} say of the same ${count} broken inputs, with their exit codes. The rows are the table in`,
    '`test/live/broken-inputs`, which as a test holds the messages of tsrun to their cause, place and remedy. Written by `npm run docs:errors`:',
    'BUNDLE, ROOTFS, ROOT, ID and PLACE stand for the paths and ids of a row, PID, ADDRESS, BYTES and HIERARCHY for what differs from run to run.',
    'What a runtime does not mind has the exit code 0.',
  ];
  for (const { subject, rows } of subjects) {
    lines.push('', `## ${subject}`);
    for (const { name, said } of rows) {
      lines.push('', `### ${sentence(name)}`, '', '| | exit code | message |', '|---|---|---|');
      for (const runtime of RUNTIMES) {
        const { code, message } = said[runtime];
        lines.push(`| ${runtime} | ${code} | ${cell(message)} |`);
      }
    }
  }
  return `${lines.join('\n')}\n`;
}

/** @param {string} text */
function sentence(text) {
  return `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}`;
}

/**
 * Text of others in a cell of a table: as code, a line each.
 * @param {string} text
 */
function cell(text) {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines
    .map((line) => `\`${escapeControls(line.trim()).replaceAll('`', "'").replaceAll('|', '\\|')}\``)
    .join('<br>');
}

/**
 * As JSON writes what cannot be seen.
 * @param {string} text
 */
function escapeControls(text) {
  return Array.from(text, (one) => (/\p{Cc}/u.test(one) ? JSON.stringify(one).slice(1, -1) : one)).join('');
}

/** @param {string} name */
function version(name) {
  const [first = ''] = execFileSync(name, ['--version'], { encoding: 'utf8' }).split('\n');
  return first.replace(' version ', ' ');
}
