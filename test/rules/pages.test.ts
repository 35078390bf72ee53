import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { IMPORT_TABLE } from './import-table.ts';

const top = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string): string => readFileSync(path.join(top, file), 'utf8');

/** The cells of the tables of a page, without their code marks. */
function rowsOf(file: string): string[][] {
  const lines = read(file).split('\n');
  const rows = lines.filter((line) => line.startsWith('| ') && !line.startsWith('|--'));
  return rows.map((line) =>
    line
      .slice(1, -1)
      .replaceAll('`', '')
      .split('|')
      .map((cell) => cell.trim()),
  );
}

t.test('CONTRIBUTING.md has every variable of the sources, and no other', (t) => {
  const folders = ['src', 'test', 'packaging', 'bundles', 'conformance', 'schemas', '.ci'];
  const found = execFileSync('git', ['grep', '-h', '-o', '-w', '-E', 'TSRUN(_[A-Z]+)*', '--', ...folders], {
    cwd: top,
  });
  const wanted = [...new Set(found.toString().trim().split('\n'))].sort();
  const listed = rowsOf('CONTRIBUTING.md').flatMap(([names = '']) =>
    names.split(', ').filter((name) => /^TSRUN/.test(name)),
  );
  t.strictSame(listed.sort(), wanted);
  t.end();
});

t.test('docs/architecture.md has the table of imports', (t) => {
  const rows = rowsOf('docs/architecture.md');
  for (const [name, { folders, types = [] }] of Object.entries(IMPORT_TABLE)) {
    const wanted = [...folders, ...types.map((type) => `(${type})`)].join(', ');
    const [, , imports] = rows.find(([first]) => first === name) ?? [];
    t.equal(imports, wanted, `imports of ${name}`);
  }
  t.end();
});
