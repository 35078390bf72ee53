import { existsSync, readdirSync, readFileSync } from 'node:fs';
import t from 'tap';

const TEXT = readFileSync('docs/security.md', 'utf8');

/** What has hit runtimes before: each stands in a row of the table. */
const KNOWN = [
  'CVE-2014-8989',
  'CVE-2016-9962',
  'CVE-2019-5736',
  'CVE-2019-16884',
  'CVE-2019-18837',
  'CVE-2019-19921',
  'CVE-2021-30465',
  'CVE-2021-43784',
  'CVE-2022-24769',
  'CVE-2022-27650',
  'CVE-2022-29162',
  'CVE-2023-25809',
  'CVE-2023-27561',
  'CVE-2023-28642',
  'CVE-2024-21626',
  'CVE-2024-45310',
  'CVE-2025-24965',
  'CVE-2025-31133',
  'CVE-2025-52565',
  'CVE-2025-52881',
  'CVE-2026-30892',
  'CVE-2026-41579',
  'CVE-2026-47766',
  'cgroup paths',
  '`--no-pivot`',
  'pid reuse',
  'session keyring',
  'state directory',
  'lookup of the program',
  'order of seccomp and no_new_privs',
  'annotations',
];

/** Lines of the table below a heading, without its head, each as its cells. */
function tableOf(heading: string): string[][] {
  const section = TEXT.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('| '));
  return lines.slice(1).map((line) => line.split(' | ').map((cell) => cell.replaceAll(/^\| | \|$/g, '').trim()));
}

const fileOf = (name: string): string => `test/${name.includes('/') ? name : `security/${name}`}.test.ts`;

t.test('docs/security.md has a row for every known attack', (t) => {
  const rows = tableOf('Attacks').flatMap(([row = '']) => row.split(', '));
  for (const name of KNOWN) t.ok(rows.includes(name), name);
  t.end();
});

t.test('every row names tests that exist', (t) => {
  for (const [row = '', , , tests = ''] of tableOf('Attacks')) {
    const named = [...tests.matchAll(/([\w/-]+) "([^"]+)"/g)];
    t.ok(named.length > 0, `${row} has a test`);
    for (const [, name = '', words = ''] of named) {
      const file = fileOf(name);
      if (!existsSync(file)) t.fail(`${row}: ${file} is missing`);
      else t.ok(readFileSync(file, 'utf8').includes(words), `${row}: ${file} has ${JSON.stringify(words)}`);
    }
  }
  t.end();
});

t.test('every file of test/security is named', (t) => {
  const named = [...tableOf('Attacks'), ...tableOf('Faults')].map((cells) => cells.at(-1) ?? '').join(' ');
  for (const file of readdirSync('test/security').filter((name) => name.endsWith('.test.ts'))) {
    t.ok(named.includes(file.replace('.test.ts', '')), file);
  }
  t.end();
});
