import type { Test } from 'tap';
import { live } from '../support/rig.ts';
import type { BrokenInput } from './row.ts';
import { tryRow, type Outcome } from './scene.ts';
import { table } from './table.ts';

/** As many things go wrong as a table has to have at the least, so that nobody takes rows away unseen. */
const ROWS_LEAST = 140;
/** Whoever reads a line in a log reads no more. */
const LONGEST = 1200;

/** What a line of the log has beside `msg`, for programs. */
interface Line {
  readonly level: string;
  readonly msg: string;
  readonly time: string;
  readonly code?: string;
  readonly path?: string;
  readonly step?: string;
  readonly errno?: string;
  readonly hint?: string;
}

live('what is broken is named by its cause, its place and its remedy, and leaves nothing', async (t, rig) => {
  const names = table.flatMap(({ rows }) => rows.map(({ name }) => name));
  t.ok(names.length >= ROWS_LEAST, `${names.length} rows`);
  t.strictSame(names.length, new Set(names).size, 'each row is about something else');
  for (const { subject, rows } of table)
    await t.test(subject, async (t) => {
      for (const row of rows)
        await t.test(row.name, async (t) => {
          const outcome = await tryRow(rig, row, { runtime: 'tsrun', options: ['--log-format', 'json'] });
          expectMessage(t, row, outcome);
          expectFields(t, row, outcome);
          t.strictSame(rig.leftovers(), [], 'nothing is left');
        });
    });
});

function expectMessage(t: Test, { code = 1, cause, place, remedy }: BrokenInput, { result, message }: Outcome): void {
  t.equal(result.code, code, `exit code ${code}`);
  for (const [what, wanted] of Object.entries({ cause, place, remedy }))
    if (wanted !== undefined)
      t.ok(typeof wanted === 'string' ? message.includes(wanted) : wanted.test(message), `${what}: ${String(wanted)}`, {
        message,
      });
  t.ok(message.length <= LONGEST, `${message.length} characters`);
  for (const line of message.split('\n')) t.equal(repeated(line), undefined, 'nothing is said twice in a line');
  t.notMatch(message, /\n\s+at |bug in tsrun|bug:/, 'no trace of a bug');
  // The launcher, which has no room for words, says before the errno what it means.
  const bare = /(?<!: [a-z][a-z -]*): E[A-Z]{3,}/.exec(message)?.[0];
  if (!message.startsWith('tsrun: ')) t.equal(bare, undefined, 'no bare errno');
}

/** For programs that read the log. */
function expectFields(t: Test, row: BrokenInput, { result, rename }: Outcome): void {
  const lines = rename(result.stderr)
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line)
    .filter(({ level }) => level === 'error');
  const [line] = lines;
  // What is wrong with the global options, and what init or the launcher says, goes to standard error as it is.
  if (line === undefined) {
    t.match(
      row.saidInside === true ? 'inside' : result.stderr,
      /^(?:inside|time=|tsrun: )|log-format|--root argument|open log file/,
    );
    return;
  }
  t.equal(lines.length, 1, 'one line is the failure');
  t.match(line, { code: /^[a-z-]+$/, time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/ });
  const shown = /\((\/\S+) of config\.json\)/.exec(line.msg)?.[1];
  if (shown !== undefined) t.equal(line.path, shown, 'path');
  const errno = /: (E[A-Z0-9]+)(?:;| \(|$)/.exec(line.msg)?.[1];
  // dockerd knows a directory as what may not be executed.
  const isDirectory = line.msg.includes('is a directory: permission denied');
  if (errno !== undefined) t.equal(line.errno, isDirectory ? 'EISDIR' : errno, 'errno');
  if (line.code === 'step') t.type(line.step, 'string', 'step');
  if (line.hint !== undefined) t.ok(line.msg.endsWith(`; ${line.hint}`), 'the message ends in the hint');
}

/** Five words that a message has twice. */
function repeated(message: string): string | undefined {
  const WORDS = 5;
  const words = message.split(/\s+/);
  const seen = new Set<string>();
  for (let index = 0; index + WORDS <= words.length; index += 1) {
    const run = words.slice(index, index + WORDS).join(' ');
    if (seen.has(run)) return run;
    seen.add(run);
  }
  return undefined;
}
