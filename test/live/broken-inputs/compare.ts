import { rmSync } from 'node:fs';
import { Rig } from '../support/rig.ts';
import { removeCgroups } from '../support/leftovers.ts';
import type { BrokenInput, RuntimeName } from './row.ts';
import { tryRow, type Outcome } from './scene.ts';
import { lacksReason, steady } from './steady.ts';
import { table } from './table.ts';

/** What each runtime has said of a row. */
export interface ComparedRow {
  readonly name: string;
  readonly said: Readonly<Record<RuntimeName, { readonly code: string; readonly message: string }>>;
}

/** The rows of one subject. */
export interface Compared {
  readonly subject: string;
  readonly rows: readonly ComparedRow[];
}

/** Nobody needs the whole crash page of an engine. */
const LINES_MAX = 6;
/** As often a race is run again. */
const TRIES_MAX = 20;

/** Tries every row of the table with each runtime, one after the other. */
export async function compareRuntimes(runtimes: readonly RuntimeName[]): Promise<Compared[]> {
  const rig = new Rig();
  try {
    const compared: Compared[] = [];
    for (const { subject, rows } of table) {
      const done: ComparedRow[] = [];
      for (const row of rows) done.push({ name: row.name, said: await sayOf(rig, row, runtimes) });
      compared.push({ subject, rows: done });
    }
    return compared;
  } finally {
    removeCgroups(rig.prefix);
    rmSync(rig.directory, { recursive: true, force: true });
  }
}

async function sayOf(rig: Rig, row: BrokenInput, runtimes: readonly RuntimeName[]): Promise<ComparedRow['said']> {
  const said: Partial<Record<RuntimeName, { code: string; message: string }>> = {};
  for (const runtime of runtimes) {
    const { result, message } = await tryWithReason(rig, row, runtime);
    const lines = steady(message).split('\n');
    const shown =
      lines.length > LINES_MAX ? [...lines.slice(0, LINES_MAX), `and ${lines.length - LINES_MAX} more lines`] : lines;
    said[runtime] = { code: describeEnd(result), message: shown.map(untilTwoHundred).join('\n') };
  }
  return said as ComparedRow['said'];
}

async function tryWithReason(rig: Rig, row: BrokenInput, runtime: RuntimeName): Promise<Outcome> {
  let outcome = await tryRow(rig, row, { runtime });
  for (let tries = 1; tries < TRIES_MAX && lacksReason(outcome.message); tries += 1)
    outcome = await tryRow(rig, row, { runtime });
  return outcome;
}

function describeEnd({
  code,
  signal,
  timedOut,
}: {
  code: number | null;
  signal: string | null;
  timedOut: boolean;
}): string {
  if (timedOut) return 'none within 20 s';
  return code === null ? (signal ?? '') : String(code);
}

/** A usage text is long. */
function untilTwoHundred(line: string): string {
  return line.length > 500 ? `${line.slice(0, 500)} ...` : line;
}
