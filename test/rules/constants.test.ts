import t from 'tap';
import ts from 'typescript';
import * as constants from '../../src/util/constants.ts';
import { PURE } from './import-table.ts';
import { folderOf, parseSource, placeOf, readSources, visit, type Source } from './sources.ts';

/** What util/constants.ts has as x86-64 numbers it, and the encoder of programs translates. */
const OF_PROGRAMS = ['O_DIRECTORY', 'O_NOFOLLOW'];

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

t.test('whoever opens files himself has the flags as his machine numbers them', (t) => {
  const others = readSources().filter(({ file }) => !PURE.includes(folderOf(file)));
  t.strictSame(others.flatMap(findForeign), []);
  const rows: [text: string, count: number][] = [
    [`import { O_PATH, O_NOFOLLOW } from '../util/constants.ts';`, 1],
    [`import { O_DIRECTORY as FLAG, O_NOFOLLOW } from '../../util/constants.ts';`, 2],
    [`import * as all from '../util/constants.ts';`, 1],
    [`import { O_PATH } from '../util/constants.ts';`, 0],
    [`import { O_NOFOLLOW } from '../sys/open-flags.ts';`, 0],
  ];
  for (const [text, count] of rows) t.equal(findForeign(parseSource('container/x.ts', text)).length, count, text);
  t.end();
});

function findForeign(source: Source): string[] {
  const found: string[] = [];
  visit(source.tree, (node) => {
    if (!ts.isImportDeclaration(node) || !ts.isStringLiteral(node.moduleSpecifier)) return;
    if (!node.moduleSpecifier.text.endsWith('/util/constants.ts')) return;
    const bindings = node.importClause?.namedBindings;
    const names =
      bindings === undefined || ts.isNamespaceImport(bindings)
        ? ['*']
        : bindings.elements.map(({ name, propertyName = name }) => propertyName.text);
    for (const name of names)
      if (name === '*' || OF_PROGRAMS.includes(name)) found.push(`${placeOf(source, node)}: ${name}`);
  });
  return found;
}

function findRepeated(source: Source): string[] {
  const found: string[] = [];
  visit(source.tree, (node) => {
    if (!ts.isVariableDeclaration(node) || !ts.isIdentifier(node.name)) return;
    if (Object.hasOwn(constants, node.name.text)) found.push(`${placeOf(source, node)}: ${node.name.text}`);
  });
  return found;
}
