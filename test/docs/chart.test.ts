import { readFileSync } from 'node:fs';
import t from 'tap';
import { drawChart, readTable } from '../bench/chart.mjs';

const read = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');

t.test('the chart of the README is drawn from the figures of RESULTS.md', (t) => {
  const drawn = drawChart(readTable(read('test/bench/RESULTS.md')));
  t.equal(read('test/bench/chart.svg'), drawn, '`node test/bench/chart.mjs` draws it');
  t.match(read('README.md'), /!\[[^\]]+\]\(test\/bench\/chart\.svg\)/);
  t.end();
});

t.test('drawChart() has a bar for each figure that it shows, in both colour schemes', (t) => {
  const table = [
    'Words.',
    '',
    '|  | tsrun, warm | tsrun | crun | tsrun : crun |',
    '| --- | --- | --- | --- | --- |',
    '| `state` | 8.8 ms (7.9-9.6) | 21.6 ms | - | 2.2 |',
    '| `run`, 40 more mounts, 300 variables | 65.0 ms (61.7-68.2) | 1.0 ms (1.0-1.0) | 2.0 ms (2.0-2.0) | 0.5 |',
    '',
    '| another | table |',
  ].join('\n');
  const svg = drawChart(readTable(table));
  t.match(svg, /^<svg xmlns=/);
  t.equal(svg.match(/<rect class="b\d" x="\d+" y="(?!52)/g)?.length, 2, 'a bar for what there is');
  for (const text of ['8.8', '21.6', 'tsrun, warm: 8.8 ms (7.9 to 9.6)', 'prefers-color-scheme:dark'])
    t.match(svg, text);
  t.notMatch(svg, /NaN|undefined|40 more mounts/);
  t.notMatch(svg.replace('http://www.w3.org/2000/svg', ''), /https?:|<script|<image/, 'it asks for nothing');
  t.end();
});
