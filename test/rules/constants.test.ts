import t from 'tap';
import ts from 'typescript';
import * as constants from '../../src/util/constants.ts';
import { parseSource, placeOf, readSources, visit, type Source } from './sources.ts';

t.test('a constant of the kernel stands in util/constants.ts alone', (t) => {
  const others = readSources().filter(({ file }) => file !== 'util/constants.ts');
  t.strictSame(others.flatMap(findRepeated), []);
  t.end();
});

t.test('a constant that stands twice is found wherever it is declared', (t) => {
  const rows: [text: string, count: number][] = [
    ['const F_DUPFD_CLOEXEC = 1030;', 1],
    ['export const F_DUPFD_CLOEXEC = 0x406;', 1],
    ['function f() { const AT_FDCWD = -100; }', 1],
    [`import { F_DUPFD_CLOEXEC } from '../util/constants.ts';`, 0],
    ['const DUPFD = F_DUPFD_CLOEXEC;', 0],
  ];
  for (const [text, count] of rows) t.equal(findRepeated(parseSource('plan/x.ts', text)).length, count, text);
  t.end();
});

function findRepeated(source: Source): string[] {
  const found: string[] = [];
  visit(source.tree, (node) => {
    if (!ts.isVariableDeclaration(node) || !ts.isIdentifier(node.name)) return;
    if (Object.hasOwn(constants, node.name.text)) found.push(`${placeOf(source, node)}: ${node.name.text}`);
  });
  return found;
}
