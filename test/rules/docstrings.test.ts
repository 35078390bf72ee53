import t from 'tap';
import ts from 'typescript';
import { parseSource, placeOf, readSources, type Source } from './sources.ts';

/** Told by their C spelling, which the man pages explain. */
const C_CONSTANTS = 'util/constants.ts';

t.test('every exported declaration has a docstring', (t) => {
  const sources = readSources().filter(({ file }) => file !== C_CONSTANTS);
  t.strictSame(sources.flatMap(findBare), []);
  t.end();
});

t.test('an exported declaration without a docstring is found whatever it is', (t) => {
  const rows: [text: string, names: string[]][] = [
    ['export const limit = 1;', ['limit']],
    ['export function read(): void {}', ['read']],
    ['export async function read(): Promise<void> {}', ['read']],
    ['export class Reader {}', ['Reader']],
    ['export abstract class Reader {}', ['Reader']],
    ['export interface Options {}', ['Options']],
    ['export type Name = string;', ['Name']],
    ['/** Bytes. */\nexport const a = 1;\nexport const b = 2;', ['b']],
    ['/** Of the import. */\nimport x from "x";\nexport const a = x;', ['a']],
    ['// Bytes.\nexport const a = 1;', ['a']],
    ['/* Bytes. */\nexport const a = 1;', ['a']],
    ['/** */\nexport const a = 1;', ['a']],
    ['/** Bytes. */\nexport const a = 1;', []],
    ['/**\n * Bytes.\n */\nexport const a = 1;', []],
    ['/** Reads. */\nexport function read(): void {}', []],
    ['const own = 1;\nfunction read(): void {}\ninterface Options {}', []],
    ['export type { Name } from "./name.ts";', []],
  ];
  for (const [text, names] of rows) {
    const wanted = names.map((name) => `: ${name}`);
    const found = findBare(parseSource('plan/x.ts', text)).map((flaw) => flaw.replace(/^src\/plan\/x\.ts:\d+/, ''));
    t.strictSame(found, wanted, text);
  }
  t.end();
});

function findBare(source: Source): string[] {
  return source.tree.statements
    .filter((statement) => isExported(statement) && !hasDocstring(statement))
    .map((statement) => `${placeOf(source, statement)}: ${nameOf(source, statement)}`);
}

function isExported(statement: ts.Statement): boolean {
  if (!ts.canHaveModifiers(statement)) return false;
  return ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
}

function hasDocstring(statement: ts.Statement): boolean {
  return ts
    .getJSDocCommentsAndTags(statement)
    .some((doc) => ts.isJSDoc(doc) && (ts.getTextOfJSDocComment(doc.comment) ?? '').trim() !== '');
}

function nameOf({ tree }: Source, statement: ts.Statement): string {
  const named = ts.isVariableStatement(statement) ? statement.declarationList.declarations[0] : statement;
  return (
    (named === undefined ? undefined : ts.getNameOfDeclaration(named as ts.Declaration))?.getText(tree) ?? '(none)'
  );
}
