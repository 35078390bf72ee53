/** The report of a bench as Markdown. */
import { spawnSync } from 'node:child_process';
import os from 'node:os';
import { CASES } from './cases.mjs';

/**
 * @typedef {import('./rigs.mjs').Rig} Rig
 * @typedef {{ values: number[], cpuMs: number[] }} Measured one each for a round
 * @typedef {readonly (readonly Measured[])[]} Results by case and runtime
 * @typedef {{ median: number, p99: number, max: number }} Spread
 * @typedef {Spread & { over5: number, over5Collecting: number, of: number }} Stretches
 * @typedef {{ concurrent: number, perContainerMs: number, delayMs: Spread, stretchCpuMs: Stretches }} Concurrency
 * @typedef {{ run: number[], floor: number[], concurrency: Concurrency }} Library
 * @typedef {ReturnType<typeof import('./cpu.mjs').privateParts>} Private
 * @typedef {{ containers: number, half: Private, whole: Private, status: string }} PlannerMemory KiB
 * @typedef {readonly string[]} Row
 */

/** How many runtimes of the list are tsrun itself; the others are what it is compared with. */
const OWN = 3;

/** @param {{ rigs: readonly Rig[], results: Results, library: Library, memory: PlannerMemory, hidesUnified: boolean, engine: string }} bench */
export function describe({ rigs, results, library, memory, hidesUnified, engine }) {
  const rounds = Math.max(...results.map(([first]) => first?.values.length ?? 0));
  return `# Results of \`npm run bench\`

Written by the command itself. Medians of ${rounds} rounds (fewer where a round takes long), with the quartiles in parentheses,
the runtimes taking turns. A ratio is one of medians. *Warm* is a planner that has made a hundred containers before.

${describeTimes(rigs, results)}

CPU time of all processes of a call that were waited for, user and system, and of the planner: medians and their ratios.

${describeCpu(rigs, results)}

${describePlanner(memory, engine)}

The library in one Node process, warm, and the floor: the same programs replayed by an init, nothing read, planned or written.

${describeLibrary(rigs, results, library)}

${describeMachine(rigs, hidesUnified)}
`;
}

/**
 * @param {readonly Rig[]} rigs
 * @param {Results} results
 */
function describeTimes(rigs, results) {
  const rows = CASES.map(({ name, unit = 'ms' }, caseIndex) => {
    const columns = results[caseIndex] ?? [];
    if (columns.every(({ values }) => values.length === 0)) return [name, 'not taken by all of them'];
    const all = columns.map(({ values }) => values);
    return [name, ...all.map((values) => describeValues(values, unit)), ...ratios(rigs, all)];
  });
  return table(headerOf(rigs), rows);
}

/**
 * @param {readonly Rig[]} rigs
 * @param {Results} results
 */
function describeCpu(rigs, results) {
  const rows = CASES.flatMap(({ name, unit = 'ms' }, caseIndex) => {
    const all = (results[caseIndex] ?? []).map(({ cpuMs }) => cpuMs);
    if (unit !== 'ms' || name.includes('95 %') || all.some((cpuMs) => cpuMs.length === 0)) return [];
    return [[name, ...all.map((cpuMs) => describeValues(cpuMs, 'ms')), ...ratios(rigs, all)]];
  });
  return table(headerOf(rigs), rows);
}

/** @param {readonly Rig[]} rigs */
function headerOf(rigs) {
  const pairs = pairsOf(rigs).map(([own, peer]) => `${rigs[own]?.name} : ${rigs[peer]?.name}`);
  return ['', ...rigs.map(({ name }) => name), ...pairs];
}

/**
 * @param {readonly Rig[]} rigs
 * @param {readonly (readonly number[])[]} all one list for each of them
 */
function ratios(rigs, all) {
  return pairsOf(rigs).map(([own, peer]) => {
    const ratio = median(all[own] ?? []) / median(all[peer] ?? []);
    return Number.isNaN(ratio) ? '' : ratio.toFixed(2);
  });
}

/**
 * Indexes of each of ours and each of the others.
 * @param {readonly Rig[]} rigs
 * @returns {(readonly [number, number])[]}
 */
function pairsOf(rigs) {
  return rigs
    .slice(0, OWN)
    .flatMap((_, own) => rigs.slice(OWN).map((_, peer) => /** @type {const} */ ([own, peer + OWN])));
}

/**
 * @param {PlannerMemory} memory
 * @param {string} engine of the planner
 */
function describePlanner({ containers, half, whole, status }, engine) {
  const onNode = engine === 'node';
  const size = (/** @type {number} */ kib) => `${(kib / 1024).toFixed(1)} MiB`;
  return [
    `Memory of the planner, ${onNode ? 'on Node' : 'the executable'}, after all of the above and ${containers} more containers: ${size(whole.dirty)} of its own; half way ${size(half.dirty)}.`,
    `Beside that it alone has mapped ${size(whole.clean)} of files, those of its engine, which other processes ${onNode ? 'on Node' : 'of tsrun'} would share with it.`,
    'What it says of itself:',
    `\n\`\`\`\n${status.trim()}\n\`\`\``,
  ]
    .join(' ')
    .replace(': \n', ':\n');
}

/**
 * @param {readonly Rig[]} rigs
 * @param {Results} results
 * @param {Library} library
 */
function describeLibrary(rigs, results, { run, floor, concurrency }) {
  const { concurrent, perContainerMs, delayMs, stretchCpuMs } = concurrency;
  const runCase = CASES.findIndex(({ name }) => name === '`run` of /bin/true');
  const peers = rigs.slice(OWN).map(({ name }, index) => {
    const peer = median(results[runCase]?.[index + OWN]?.values ?? []);
    return [`\`runContainer\` : ${name} \`run\``, (median(run) / peer).toFixed(2)];
  });
  return table(
    ['', ''],
    [
      ['`runContainer` of /bin/true', describeValues(run, 'ms')],
      ['the floor', describeValues(floor, 'ms')],
      ['`runContainer` : floor', (median(run) / median(floor)).toFixed(2)],
      ...peers,
      [`each of ${concurrent} at the same time`, `${perContainerMs.toFixed(1)} ms`],
      [
        'delay of the event loop meanwhile',
        `median ${delayMs.median.toFixed(1)} ms, 99 % ${delayMs.p99.toFixed(1)} ms, longest ${delayMs.max.toFixed(1)} ms`,
      ],
      [
        'processor time without a turn for others',
        `median ${stretchCpuMs.median.toFixed(1)} ms, 99 % ${stretchCpuMs.p99.toFixed(1)} ms, longest ${stretchCpuMs.max.toFixed(1)} ms; ${stretchCpuMs.over5} of ${stretchCpuMs.of} over 5 ms, of which ${stretchCpuMs.over5Collecting} collect garbage`,
      ],
    ],
  );
}

/**
 * Versions of the runtimes, and what they were measured on.
 * @param {readonly Pick<Rig, 'name' | 'binary'>[]} rigs
 * @param {boolean} hidesUnified
 */
export function describeMachine(rigs, hidesUnified) {
  const versions = rigs.map(({ name, binary: [file = '', ...args] }) => {
    const lines = spawnSync(file, [...args, '--version'], { encoding: 'utf8' }).stdout.split('\n');
    return `- ${name}: ${lines.filter((line) => /version|commit|^(node|bun):/.test(line)).join(', ')}`;
  });
  return [
    ...versions,
    `- ${new Date().toISOString().slice(0, 10)}, Linux ${os.release()}, ${os.cpus().length} x ${os.cpus()[0]?.model.trim()}, ${Math.round(os.totalmem() / 2 ** 30)} GiB`,
    `- load average at the end: ${os.loadavg()[0]?.toFixed(1)}; above 1 other work shared the machine, and only the ratios mean something`,
    `- cgroups: ${hidesUnified ? 'v1 (the cgroup2 part of a hybrid layout was hidden from all of them)' : 'as mounted'}`,
  ].join('\n');
}

/**
 * @param {Row} header
 * @param {readonly Row[]} rows
 */
export function table(header, rows) {
  const lines = [header, header.map(() => '---'), ...rows.map((row) => header.map((_, index) => row[index] ?? ''))];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/**
 * The median, and of enough values the quartiles.
 * @param {readonly number[]} values
 * @param {string} unit
 */
export function describeValues(values, unit) {
  if (values.length === 0) return '';
  const digits = unit === 'KiB' ? 0 : 1;
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(values, share).toFixed(digits));
  return values.length < 3 ? `${middle} ${unit}` : `${middle} ${unit} (${low}-${high})`;
}

/** @param {readonly number[]} numbers */
export function median(numbers) {
  return quantile(numbers, 0.5);
}

/**
 * Linear between the two values next to it; NaN of none.
 * @param {readonly number[]} numbers
 * @param {number} share
 */
function quantile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  const [low = NaN, high = NaN] = [sorted[below], sorted[above]];
  return low + (high - low) * (at - below);
}
