import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { table } from '../live/broken-inputs/table.ts';

const text = readFileSync(fileURLToPath(new URL('../../docs/errors.md', import.meta.url)), 'utf8');

t.test('docs/errors.md has what the three runtimes say of every broken input', (t) => {
  const [, ...sections] = text.split('\n## ');
  t.strictSame(
    sections.map((section) => section.split('\n')[0]),
    table.map(({ subject }) => subject),
  );
  for (const [index, { rows }] of table.entries()) {
    const written = (sections[index] ?? '').split('\n### ').slice(1);
    t.strictSame(
      written.map((row) => row.split('\n')[0]?.toLowerCase()),
      rows.map(({ name }) => name.toLowerCase()),
    );
    for (const row of written)
      for (const runtime of ['tsrun', 'runc', 'crun'])
        t.match(row, new RegExp(`^\\| ${runtime} \\| (\\d+|SIG[A-Z]+|none within 20 s) \\| .*\\|$`, 'm'));
  }
  t.end();
});
