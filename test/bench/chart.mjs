/**
 * The first table of RESULTS.md as a picture: `node test/bench/chart.mjs` draws test/bench/chart.svg from the figures that are there;
 * `npm run bench` does it behind each measurement. Light and dark as the reader's system has it.
 */
import * as fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {{ median: number, low: number, high: number }} Figure milliseconds: the median and the quartiles
 * @typedef {{ title: string, figures: readonly (Figure | undefined)[] }} Row
 * @typedef {{ runtimes: readonly string[], rows: readonly Row[] }} Table
 */

const folder = path.dirname(fileURLToPath(import.meta.url));
export const CHART = path.join(folder, 'chart.svg');
const RESULTS = path.join(folder, 'RESULTS.md');

/** What people do with a runtime, from the table; everything else in it is about extremes. */
const SHOWN = [
  '`run` of /bin/true',
  '`run`, seccomp profile of containers',
  '`exec` of true',
  '`create`',
  '`start`',
  '`delete`',
  '`state`',
];

/** Runtimes of the table that are drawn. On Node the bars would be as long as all others together; the table has them. */
const DRAWN = ['tsrun, warm', 'tsrun', 'runc', 'crun'];

const WIDTH = 860;
const LEFT = 262;
const RIGHT = 64;
const TOP = 84;
const BAR = 13;
const BAR_GAP = 3;
const ROW_GAP = 16;

/**
 * The first table of the report.
 * @param {string} markdown
 * @returns {Table}
 */
export function readTable(markdown) {
  const lines = markdown.split('\n');
  const first = lines.findIndex((line) => line.startsWith('|'));
  const end = lines.findIndex((line, index) => index > first && !line.startsWith('|'));
  const [head = [], , ...rows] = lines.slice(first, end < 0 ? undefined : end).map(cellsOf);
  const runtimes = head.slice(1).filter((name) => !name.includes(' : '));
  return {
    runtimes,
    rows: rows.map(([title = '', ...cells]) => ({
      title,
      figures: runtimes.map((_, index) => readFigure(cells[index])),
    })),
  };
}

/** @param {string} line */
function cellsOf(line) {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}

/**
 * `32.3 ms (29.7-34.4)`; undefined for what is no time.
 * @param {string | undefined} cell
 * @returns {Figure | undefined}
 */
function readFigure(cell = '') {
  const [, median, low = median, high = median] = /^([\d.]+) ms(?: \(([\d.]+)-([\d.]+)\))?$/.exec(cell) ?? [];
  return median === undefined ? undefined : { median: Number(median), low: Number(low), high: Number(high) };
}

/**
 * The picture, as the text of an SVG file.
 * @param {Table} table
 */
export function drawChart({ runtimes, rows }) {
  const drawn = DRAWN.filter((name) => runtimes.includes(name));
  const shown = SHOWN.flatMap((title) => rows.filter((row) => row.title === title));
  const figures = shown.map(({ figures }) => drawn.map((name) => figures[runtimes.indexOf(name)]));
  const longest = Math.max(1, ...figures.flat().map((figure) => figure?.high ?? 0));
  const step = niceStep(longest);
  const most = Math.ceil(longest / step) * step;
  /** @param {number} value */
  const x = (value) => LEFT + (value / most) * (WIDTH - LEFT - RIGHT);
  const rowHeight = drawn.length * (BAR + BAR_GAP) + ROW_GAP;
  const bottom = TOP + shown.length * rowHeight;
  const parts = [
    ...drawGrid({ step, most, x, bottom }),
    ...drawn.map((name, index) => drawKey(name, index)),
    ...shown.flatMap((row, index) =>
      drawRow({ title: row.title, figures: figures[index] ?? [], top: TOP + index * rowHeight, x, drawn }),
    ),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 40}" role="img" aria-labelledby="title">`,
    '<title id="title">Wall time of commands of tsrun, runc and crun, milliseconds, medians and quartiles</title>',
    `<style>${STYLE}</style>`,
    `<rect class="page" width="${WIDTH}" height="${bottom + 40}" rx="12"/>`,
    '<text class="head" x="24" y="36">Wall time of a command, milliseconds (less is better)</text>',
    ...parts,
    '</svg>\n',
  ].join('\n');
}

const STYLE = `
text{font:13px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;fill:#1a2230}
.head{font-size:16px;font-weight:600}.soft{fill:#5b6678;font-size:12px}.mono{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12px}
.page{fill:#fff}.grid{stroke:#e2e6ee}.whisker{stroke:#1a2230;stroke-opacity:.55}
.b0{fill:#2f5fd0}.b1{fill:#8fb0f5}.b2{fill:#d08a2f}.b3{fill:#4c9a7a}
@media (prefers-color-scheme:dark){text{fill:#e4e9f2}.soft{fill:#97a3b6}.page{fill:#10141b}.grid{stroke:#2b3443}.whisker{stroke:#e4e9f2}
.b0{fill:#7aa2f7}.b1{fill:#3f5f9f}.b2{fill:#e0a458}.b3{fill:#63b796}}
`.trim();

/**
 * A step between lines, so that there are four to nine of them.
 * @param {number} longest
 */
function niceStep(longest) {
  const power = 10 ** Math.floor(Math.log10(longest));
  return [power / 5, power / 2, power, power * 2].find((step) => longest / step <= 6) ?? power * 5;
}

/** @param {{ step: number, most: number, x: (value: number) => number, bottom: number }} axis */
function drawGrid({ step, most, x, bottom }) {
  const parts = [];
  for (let value = 0; value <= most + step / 2; value += step) {
    const at = round(x(value));
    parts.push(`<line class="grid" x1="${at}" x2="${at}" y1="${TOP - 6}" y2="${bottom}"/>`);
    parts.push(`<text class="soft" x="${at}" y="${bottom + 20}" text-anchor="middle">${round(value)}</text>`);
  }
  return parts;
}

/**
 * @param {string} name
 * @param {number} index
 */
function drawKey(name, index) {
  const at = LEFT + index * 124;
  return `<rect class="b${index}" x="${at}" y="52" width="13" height="13" rx="3"/><text x="${at + 20}" y="63">${escape(name)}</text>`;
}

/** @param {{ title: string, figures: readonly (Figure | undefined)[], top: number, x: (value: number) => number, drawn: readonly string[] }} row */
function drawRow({ title, figures, top, x, drawn }) {
  const middle = top + (drawn.length * (BAR + BAR_GAP)) / 2 + 3;
  const parts = [`<text x="${LEFT - 14}" y="${middle}" text-anchor="end">${words(title)}</text>`];
  figures.forEach((figure, index) => {
    if (figure === undefined) return;
    const y = top + index * (BAR + BAR_GAP);
    const line = y + BAR / 2;
    const { median, low, high } = figure;
    parts.push(
      `<rect class="b${index}" x="${LEFT}" y="${y}" width="${round(x(median) - LEFT)}" height="${BAR}" rx="3"><title>${escape(`${drawn[index] ?? ''}: ${median} ms (${low} to ${high})`)}</title></rect>`,
      `<line class="whisker" x1="${round(x(low))}" x2="${round(x(high))}" y1="${line}" y2="${line}"/>`,
      `<text class="soft" x="${round(x(Math.max(median, high)) + 7)}" y="${y + 11}">${median.toFixed(1)}</text>`,
    );
  });
  return parts;
}

/**
 * What is between backquotes is a command.
 * @param {string} title
 */
function words(title) {
  return title
    .split('`')
    .map((part, index) => (index % 2 === 1 ? `<tspan class="mono">${escape(part)}</tspan>` : escape(part)))
    .join('');
}

/** @param {string} text */
function escape(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}

/** Draws what is in RESULTS.md. */
export function writeChart() {
  fs.writeFileSync(CHART, drawChart(readTable(fs.readFileSync(RESULTS, 'utf8'))));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeChart();
