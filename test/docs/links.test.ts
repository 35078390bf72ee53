import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { commandTable } from '../../src/cli/command-table.ts';
import { top } from '../../bundles/ready.mjs';

const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'bundles/README.md'],
  ...readdirSync(path.join(top, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const read = (file: string): string => readFileSync(path.join(top, file), 'utf8');

/** A heading's name in links, as GitHub makes it. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

t.test('links of pages lead to files and headings that are there', (t) => {
  for (const page of pages) {
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file = '', anchor] = target.split('#');
      const absolute = file === '' ? path.join(top, page) : path.join(top, path.dirname(page), file);
      t.ok(existsSync(absolute), `${page}: ${target}`);
      if (anchor === undefined || !absolute.endsWith('.md')) continue;
      const headings = [...readFileSync(absolute, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, text = '']) =>
        anchorOf(text),
      );
      t.ok(headings.includes(anchor), `${page}: ${target}`);
    }
  }
  t.end();
});

t.test('every page of docs/ is to be found from the README', (t) => {
  const readme = read('README.md');
  for (const page of pages.filter((name) => name.startsWith('docs/'))) t.ok(readme.includes(`](${page}`), page);
  t.end();
});

t.test('docs/cli.md says what every command does', (t) => {
  const text = read('docs/cli.md');
  for (const name of Object.keys(commandTable)) t.match(text, new RegExp(`\\| .*\`tsrun ${name}\\b.* \\|`), name);
  t.end();
});
