/** The report of the bench of engines as Markdown. */
import * as fs from 'node:fs';
import { sumReports } from '../harness/planner-reports.mjs';
import { describeMachine, describeValues, median, table } from './report.mjs';

/**
 * @typedef {import('./engines.ts').Row} Row
 * @typedef {import('./engine-tables.ts').Table} Table
 * @typedef {import('./engine-rounds.mjs').Cell} Cell
 */

/** Characters of a reason. */
const LONGEST = 300;

/** @param {{ commands: Table, shims: Table }} tables */
export function describeEngines({ commands, shims }) {
  const rows = [...commands.rows, ...shims.rows];
  const rounds = Math.max(0, ...rows.flatMap(({ cells }) => cells.map(({ values }) => values.length)));
  const runtimes = commands.columns.flatMap(({ name, file }) => (file === undefined ? [] : [{ name, binary: [file] }]));
  return `# Results of \`npm run bench -- --engines\`

Written by the command itself. Commands of engines end to end, each engine with its daemons in namespaces and cgroups of its own, the
runtimes taking turns: medians of ${rounds} rounds, with the quartiles in parentheses. A ratio is one of medians. IMAGE is busybox.

${describe(commands, 'values')}

CPU time of everything that was at work from the start of a command until the last process it left had ended, by their cgroup: engine, daemons,
shims, runtime, container, and the planner.

${describe(commands, 'cpuMs')}

What the planner says of the calls of "tsrun, warm":

\`\`\`
${commands.rows.map(describeServed).join('\n')}
\`\`\`

## Shims of containerd

${describe(shims, 'values')}

CPU time, as above:

${describe(shims, 'cpuMs')}

Memory that processes share with no other, of all shims together and of all containers (two for a pod):

${describeMemory(shims)}

${versionLines(rows)}
${describeMachine(runtimes, fs.existsSync('/sys/fs/cgroup/unified/cgroup.procs'))}
`;
}

/**
 * What each engine says of itself.
 * @param {readonly Row[]} rows
 */
function versionLines(rows) {
  const versions = rows.flatMap(({ version }) => (version === undefined ? [] : [`- ${version}`]));
  return [...new Set(versions)].join('\n');
}

/** @param {Table} shims */
function describeMemory({ columns, rows }) {
  const cells = rows.find(({ cells }) => cells.some(({ memory }) => memory !== undefined))?.cells ?? [];
  const counts = cells.find(({ memory }) => memory !== undefined)?.memory?.map(({ pods }) => pods) ?? [];
  const lines = counts.map((count) => {
    const texts = columns.map((_, index) => {
      const found = cells[index]?.memory?.find(({ pods }) => pods === count);
      if (found === undefined) return 'not measured';
      return `${mebibytes(found.shims)} + ${mebibytes(found.containers)} MiB`;
    });
    return [`${count} pod${count === 1 ? '' : 's'}`, ...texts];
  });
  return table(['', ...columns.map(({ name }) => name)], lines);
}

/** @param {number} kibibytes */
function mebibytes(kibibytes) {
  return (kibibytes / 1024).toFixed(1);
}

/**
 * @param {Table} table
 * @param {'values' | 'cpuMs'} of
 */
function describe({ columns, rows }, of) {
  const indexes = (/** @type {boolean} */ isOwn) =>
    [...columns.keys()].filter((index) => (columns[index]?.name.startsWith('tsrun') ?? false) === isOwn);
  const pairs = indexes(true).flatMap((own) =>
    indexes(false).map((peer) => ({ own, peer, name: `${columns[own]?.name} : ${columns[peer]?.name}` })),
  );
  const header = ['', ...columns.map(({ name }) => name), ...pairs.map(({ name }) => name)];
  const lines = rows.map(({ command, cells, reason }) => {
    if (reason !== undefined) return [`\`${command}\``, cellText(reason)];
    const ratios = pairs.map(({ own, peer }) => ratio(cells[own]?.[of] ?? [], cells[peer]?.[of] ?? []));
    return [`\`${command}\``, ...cells.map((cell) => describeCell(cell, of)), ...ratios];
  });
  return table(header, lines);
}

/**
 * @param {Cell} cell
 * @param {'values' | 'cpuMs'} of
 */
function describeCell(cell, of) {
  if (cell.reason !== undefined) return cellText(cell.reason);
  const values = cell[of];
  return values.length === 0 ? `no ${of === 'cpuMs' ? 'counter' : 'values'}` : describeValues(values, 'ms');
}

/**
 * @param {readonly number[]} own
 * @param {readonly number[]} peer
 */
function ratio(own, peer) {
  return own.length === 0 || peer.length === 0 ? '' : (median(own) / median(peer)).toFixed(2);
}

/**
 * Text of others as a cell holds it; of a log the end, where it says what went wrong.
 * @param {string} text
 */
function cellText(text) {
  const line = text.trim().replaceAll(/\s+/g, ' ');
  const end = line.length <= LONGEST ? line : `...${line.slice(-LONGEST)}`;
  return end.replaceAll('|', '\\|');
}

/** @param {Row} row */
function describeServed({ command, served }) {
  return `${command}\n${served === undefined ? '# no planner' : sumReports(JSON.stringify(served)).text}`;
}
