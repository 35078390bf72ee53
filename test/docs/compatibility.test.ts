import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { TsrunError } from '../../src/errors.ts';
import { commandTable } from '../../src/cli/command-table.ts';
import { globalOptionTable } from '../../src/cli/options/global.ts';
import type { OptionTable } from '../../src/cli/options/table.ts';
import { runLine } from '../cli/fixtures.ts';

const top = fileURLToPath(new URL('../../', import.meta.url));
const text = readFileSync(`${top}docs/compatibility.md`, 'utf8');

interface Peers {
  readonly global: Readonly<Record<string, string>>;
  readonly commands: Readonly<
    Record<string, { readonly peers: string; readonly options?: Readonly<Record<string, string>> }>
  >;
}
const peers = JSON.parse(readFileSync(`${top}docs/compatibility.json`, 'utf8')) as Peers;

/** Long name -> what the page says of tsrun, in the section with a heading. */
function rowsOf(heading: string): Map<string, string> {
  const start = text.indexOf(`\n## ${heading}\n`);
  const section = start < 0 ? '' : (text.slice(start + 1).split('\n## ')[0] ?? '');
  const rows = new Map<string, string>();
  for (const line of section.split('\n')) {
    const [, name, , , , own] = line.split('|').map((cell) => cell.trim());
    const long = /^`(?:--)?([a-z][\w-]*)`/.exec(name ?? '')?.[1];
    if (long !== undefined) rows.set(long, own ?? '');
  }
  return rows;
}

/** `isRefused` tells what becomes of a command line with the option. */
async function holdTo(
  t: Test,
  {
    heading,
    table,
    isRefused,
  }: { heading: string; table: OptionTable; isRefused: (option: string) => Promise<boolean> },
): Promise<void> {
  const rows = rowsOf(heading);
  for (const [name, { description }] of Object.entries(table)) {
    // What only the operation refuses is said in the description.
    const isKnownAsRefused = description.startsWith('not supported: ');
    const wanted = isKnownAsRefused || (await isRefused(name)) ? /^refused$/ : /^(yes|ignored)$/;
    t.match(rows.get(name), wanted, `${heading}: --${name}`);
  }
  for (const [name, own] of rows) {
    t.equal(own !== 'no', Object.hasOwn(table, name), `${heading}: ${name} is ${own} in the page`);
  }
}

t.test('docs/compatibility.md is what npm run docs writes', (t) => {
  const { status, stderr } = spawnSync(process.execPath, ['docs/compatibility.mjs', '--check'], {
    cwd: top,
    encoding: 'utf8',
  });
  t.equal(status, 0, stderr);
  t.end();
});

t.test('docs/compatibility.md says of tsrun what its commands do', async (t) => {
  const isRefused = async (line: readonly string[]): Promise<boolean> => {
    const { failure } = await runLine(line);
    return failure instanceof TsrunError && failure.code === 'unsupported';
  };
  await holdTo(t, {
    heading: 'Options before the command',
    table: globalOptionTable,
    isRefused: (option) => isRefused([`--${option}=1`, 'list']),
  });
  const commands = rowsOf('Commands');
  for (const [name, entry] of Object.entries(commandTable)) {
    const { options, positionals } = (await entry.load()).command;
    const ids = Array.from({ length: positionals.minimum }, () => 'id');
    t.equal(commands.get(name), (await isRefused([name, ...ids])) ? 'refused' : 'yes', name);
    if (Object.keys(options).length === 0) continue;
    await holdTo(t, {
      heading: name,
      table: options,
      isRefused: (option) => isRefused([name, `--${option}=1`, ...ids]),
    });
  }
  for (const [name, own] of commands) t.equal(own !== 'no', Object.hasOwn(commandTable, name), name);
});

t.test('docs/compatibility.json has every option of the other runtimes once', (t) => {
  // What none of them has is tsrun's own.
  const count = (name: string): number =>
    Object.values(peers.commands[name]?.options ?? {}).filter((value) => !value.startsWith('NNN')).length;
  const counts = { create: 9, run: 11, exec: 17, kill: 2, delete: 2, list: 2, ps: 1, update: 19, events: 2 };
  for (const [name, wanted] of Object.entries({ ...counts, checkpoint: 18, restore: 20, spec: 3 })) {
    t.equal(count(name), wanted, `options of ${name}`);
  }
  const own = Object.keys(peers.commands).filter((name) => peers.commands[name]?.peers === 'NNN');
  t.equal(Object.keys(peers.commands).length - own.length, 21, 'the twenty-one commands of the others');
  for (const name of own) t.ok(Object.hasOwn(commandTable, name), `${name} is tsrun's own`);
  t.end();
});
