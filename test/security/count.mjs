/**
 * What the security tests have tried, added up over their processes: each appends lines to one file, the sums are printed in the
 * end, with a table of what runc did when it was attacked the same way.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseJson } from '../../bundles/untyped.mjs';

const VARIABLE = 'TSRUN_SECURITY_COUNTS';
/** Set to 1: what came of it is also written to docs/security.md. */
const RECORD = 'TSRUN_SECURITY_RECORD';
const DOCUMENT = new URL('../../docs/security.md', import.meta.url);

/** What is counted, in the order in which it is printed. */
const KINDS = /** @type {const} */ ([
  'attacks tried',
  'steps failed',
  'deaths of init',
  'kills of tsrun',
  'mutants run',
  'containers made',
]);

/**
 * @typedef {typeof KINDS[number]} Kind
 * @typedef {{ attack: string, tsrun: string, runc: string }} Row
 * @typedef {{ kind: Kind, number: number, row?: undefined } | { row: Row, kind?: undefined }} Line
 */

/**
 * Adds to a count; without somebody who collects it does nothing.
 * @param {Kind} kind
 * @param {number} number
 */
export function count(kind, number = 1) {
  append({ kind, number });
}

/**
 * Keeps what two runtimes did under one attack.
 * @param {Row} row
 */
export function record(row) {
  append({ row });
}

/**
 * Runs tests and prints what they have counted.
 * @param {() => Promise<void>} run
 */
export async function countWhile(run) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tsrun-counts-'));
  const file = path.join(directory, 'lines');
  process.env[VARIABLE] = file;
  try {
    await run();
    print(file);
  } finally {
    Reflect.deleteProperty(process.env, VARIABLE);
    fs.rmSync(directory, { recursive: true });
  }
}

/** @param {Line} line */
function append(line) {
  const file = process.env[VARIABLE];
  // Lines this short are appended whole, also by several processes at a time.
  if (file !== undefined) fs.appendFileSync(file, `${JSON.stringify(line)}\n`);
}

/** @param {string} file */
function print(file) {
  const lines = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trimEnd().split('\n') : [];
  const entries = lines.map((line) => /** @type {Line} */ (parseJson(line)));
  const rows = entries.flatMap(({ row }) => (row === undefined ? [] : [row])).sort(byAttack);
  const table = rows.map((row) => `| ${row.attack} | ${row.tsrun} | ${row.runc} |`);
  for (const line of table) console.log(line);
  const sum = (/** @type {Kind} */ kind) =>
    entries.reduce((all, entry) => all + (entry.kind === kind ? entry.number : 0), 0);
  const sums = KINDS.map((kind) => `${sum(kind)} ${kind}`).join(', ');
  console.log(sums);
  if (process.env[RECORD] === '1') writeDown(table, sums);
}

/**
 * Writes the outcome between two marks of docs/security.md, with when and where it was.
 * @param {readonly string[]} table
 * @param {string} sums
 */
function writeDown(table, sums) {
  const [begin, end] = ['<!-- recorded: begin -->', '<!-- recorded: end -->'];
  const [before = '', rest = ''] = fs.readFileSync(DOCUMENT, 'utf8').split(begin);
  const after = rest.split(end)[1];
  if (after === undefined) throw new Error(`${DOCUMENT.pathname} has no marks`);
  const version = /version (\S+)/.exec(execFileSync('runc', ['--version'], { encoding: 'utf8' }))?.[1];
  const where = `${new Date().toISOString().slice(0, 10)}, runc ${version}, Linux ${os.release()}, Node ${process.version}: ${sums}.`;
  const head = ['| attack | tsrun | runc |', '|---|---|---|'];
  const text = `${before}${begin}\n\n${where}\n\n${[...head, ...table].join('\n')}\n\n${end}${after}`;
  fs.writeFileSync(DOCUMENT, text);
}

/**
 * @param {Row} a
 * @param {Row} b
 */
function byAttack(a, b) {
  return a.attack < b.attack ? -1 : 1;
}
