/**
 * What the security tests have tried, added up over their processes: each appends lines to one file, the sums are printed in the
 * end, with a table of what runc did when it was attacked the same way.
 */
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const VARIABLE = 'TSRUN_SECURITY_COUNTS';

/** What is counted, in the order in which it is printed. */
const KINDS = ['attacks tried', 'steps failed', 'deaths of init', 'kills of tsrun', 'mutants run', 'containers made'];

/**
 * Adds to a count; without somebody who collects it does nothing.
 * @param {'attacks tried' | 'steps failed' | 'deaths of init' | 'kills of tsrun' | 'mutants run' | 'containers made'} kind
 * @param {number} number
 */
export function count(kind, number = 1) {
  append({ kind, number });
}

/**
 * Keeps what two runtimes did under one attack.
 * @param {{ attack: string, tsrun: string, runc: string }} row
 */
export function record(row) {
  append({ row });
}

/** Runs tests and prints what they have counted. */
export async function countWhile(run) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tsrun-counts-'));
  process.env[VARIABLE] = path.join(directory, 'lines');
  try {
    await run();
    print(process.env[VARIABLE]);
  } finally {
    delete process.env[VARIABLE];
    fs.rmSync(directory, { recursive: true });
  }
}

function append(line) {
  const file = process.env[VARIABLE];
  // Lines this short are appended whole, also by several processes at a time.
  if (file !== undefined) fs.appendFileSync(file, `${JSON.stringify(line)}\n`);
}

function print(file) {
  const lines = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trimEnd().split('\n') : [];
  const entries = lines.map((line) => JSON.parse(line));
  for (const { row } of entries.filter(({ row }) => row !== undefined).sort(byAttack))
    console.log(`| ${row.attack} | ${row.tsrun} | ${row.runc} |`);
  const sum = (kind) => entries.filter((entry) => entry.kind === kind).reduce((all, { number }) => all + number, 0);
  console.log(KINDS.map((kind) => `${sum(kind)} ${kind}`).join(', '));
}

function byAttack(a, b) {
  return a.row.attack < b.row.attack ? -1 : 1;
}
