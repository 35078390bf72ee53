/**
 * Writes `docs/compatibility.md` from `docs/compatibility.json`, what runc, crun and youki have, and from the tables of options of
 * src/cli, what tsrun has: `npm run docs`. With `--check` nothing is written, and the exit code is 1 when the file is out of date
 * or a row is missing.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { load, parseJson } from '../bundles/untyped.mjs';

const top = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const target = path.join(top, 'docs/compatibility.md');
/**
 * @typedef {import('../src/cli/options/table.ts').OptionSpec} OptionSpec
 * @typedef {Readonly<Record<string, OptionSpec>>} OptionTable
 * @typedef {{ options?: OptionTable }} Command
 * @typedef {Readonly<Record<string, string>>} Rows name of an option -> marks of the other runtimes, and a remark behind `|`
 * @typedef {{ commands: Record<string, { peers: string, remark?: string, options?: Rows }>, global: Rows }} Peers
 */

/** @type {Readonly<Record<string, string>>} */
const MARKS = { Y: 'yes', P: 'partly', N: 'no', I: 'ignored', '-': '' };
const LEGEND = [
  '*yes*: it does something; *partly*: see the remark; *ignored*: accepted without effect; *no*: refused as unknown; *refused*: known,',
  'and refused as not supported yet. Sources: runc 1.5, crun 1.29, youki 0.7 and their manuals.',
];

const others = /** @type {Peers} */ (parseJson(readFileSync(path.join(top, 'docs/compatibility.json'), 'utf8')));
const text = render(others, await loadTables());
if (process.argv.includes('--check')) {
  if (readOld() !== text) fail('docs/compatibility.md is out of date: npm run docs');
} else writeFileSync(target, text);

/** Option tables of tsrun itself (`global`) and of every command, from the sources. */
async function loadTables() {
  const bundle = path.join(top, `.compatibility-${process.pid}.mjs`);
  const contents = `
    import { commandTable } from './src/cli/command-table.ts';
    import { globalOptionTable } from './src/cli/options/global.ts';
    export { commandTable, globalOptionTable };`;
  // In the project's folder, where packages are found.
  await build({
    stdin: { contents, resolveDir: top, loader: 'ts' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    outfile: bundle,
    logLevel: 'warning',
  });
  try {
    const { commandTable, globalOptionTable } =
      /** @type {{ commandTable: Record<string, { load: () => Promise<{ command: Command }> }>, globalOptionTable: OptionTable }} */ (
        await load(pathToFileURL(bundle).href)
      );
    /** @type {Record<string, Command>} */
    const commands = {};
    for (const [name, entry] of Object.entries(commandTable)) commands[name] = (await entry.load()).command;
    return { global: globalOptionTable, commands };
  } finally {
    rmSync(bundle, { force: true });
  }
}

/**
 * @param {Peers} peers
 * @param {{ global: OptionTable, commands: Readonly<Record<string, Command>> }} own
 */
function render(peers, { global, commands }) {
  const missing = [...Object.keys(commands)].filter((name) => !Object.hasOwn(peers.commands, name));
  if (missing.length > 0) fail(`docs/compatibility.json lacks the commands ${missing.join(', ')}`);
  const parts = ['# Command line beside runc, crun and youki', '', ...LEGEND, ''];
  parts.push('Written by `npm run docs`; the rows of the other runtimes are in `compatibility.json`.', '');
  parts.push('## Commands', '', ...head('command'));
  for (const [name, { peers: marks, remark = '' }] of Object.entries(peers.commands)) {
    parts.push(row(`\`${name}\``, marks, markOfCommand(commands[name]), remark));
  }
  parts.push('', '## Options before the command', '', ...optionRows(peers.global, global, 'the global options'));
  for (const [name, { options = {} }] of Object.entries(peers.commands)) {
    const { options: own = {} } = commands[name] ?? {};
    if (Object.keys(options).length === 0 && Object.keys(own).length === 0) continue;
    parts.push('', `## ${name}`, '', ...optionRows(options, own, name));
  }
  return `${parts.join('\n')}\n`;
}

/**
 * @param {Rows} rows
 * @param {OptionTable} table
 * @param {string} owner
 */
function optionRows(rows, table, owner) {
  const missing = Object.keys(table).filter((name) => !Object.hasOwn(rows, name));
  if (missing.length > 0) fail(`docs/compatibility.json lacks options of ${owner}: ${missing.join(', ')}`);
  const lines = Object.entries(rows).map(([name, value]) => {
    const [marks = '', remark = ''] = value.split('|');
    const spec = table[name];
    const letters =
      spec === undefined ? [] : [spec.short, ...(spec.aliases ?? [])].filter((alias) => alias !== undefined);
    const spelled = [name, ...letters].map((one) => `\`${one.length > 1 ? '--' : '-'}${one}\``).join(' ');
    return row(spelled, marks, markOf(spec), remark);
  });
  return [...head('option'), ...lines];
}

/** @param {Command | undefined} command */
function markOfCommand(command) {
  return command === undefined ? 'no' : 'yes';
}

/** @param {OptionSpec | undefined} spec */
function markOf(spec) {
  if (spec === undefined) return 'no';
  if (spec.unsupported === true || /^not supported: /.test(spec.description)) return 'refused';
  return /it has no effect$/.test(spec.description) ? 'ignored' : 'yes';
}

/** @param {string} first */
function head(first) {
  return [`| ${first} | runc | crun | youki | tsrun | remark |`, '|---|---|---|---|---|---|'];
}

/**
 * @param {string} first
 * @param {string} marks a letter for each other runtime
 * @param {string} own
 * @param {string} remark
 */
function row(first, marks, own, remark) {
  const peers = Array.from(
    marks,
    (mark) => MARKS[mark] ?? fail(`docs/compatibility.json: unknown mark ${mark} at ${first}`),
  );
  return `| ${[first, ...peers, own, remark].join(' | ')} |`;
}

function readOld() {
  try {
    return readFileSync(target, 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
