import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const top = fileURLToPath(new URL('../../', import.meta.url));

/** A file of src/, parsed. */
export interface Source {
  /** Relative to src/: `plan/rootfs/mounts.ts`. */
  readonly file: string;
  readonly tree: ts.SourceFile;
}

export interface Import {
  /** `src/plan/rootfs/mounts.ts:3`. */
  readonly place: string;
  /** Relative to src/: `plan/rootfs/mounts.ts`. */
  readonly file: string;
  /** A file relative to src/ (`program/step.ts`), or the name of a package or of a module of Node (`koffi`, `node:fs`). */
  readonly target: string;
  readonly isOutside: boolean;
  /** Nothing of it is left at run time. */
  readonly isTypeOnly: boolean;
}

/** Every TypeScript file of src/ but the generated ones. */
export function readSources(): Source[] {
  return readdirSync(path.join(top, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.startsWith('spec/generated/'))
    .sort()
    .map((file) => parseSource(file, readFileSync(path.join(top, 'src', file), 'utf8')));
}

export function parseSource(file: string, text: string): Source {
  return { file, tree: ts.createSourceFile(`src/${file}`, text, ts.ScriptTarget.Latest, true) };
}

/** The folder of src/ that a file lies in; the file itself at the top. */
export function folderOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : file;
}

/** All imports of a file: static, dynamic, of types, and what it exports from elsewhere. */
export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  const add = (node: ts.Node, specifier: ts.Node | undefined, isTypeOnly: boolean): void => {
    const text = specifier !== undefined && ts.isStringLiteralLike(specifier) ? specifier.text : '(computed)';
    const isOutside = !text.startsWith('.');
    const target = isOutside ? text : path.posix.join(path.posix.dirname(source.file), text);
    found.push({ place: placeOf(source, node), file: source.file, target, isOutside, isTypeOnly });
  };
  visit(source.tree, (node) => {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier, isTypeImport(node));
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined)
      add(node, node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isImportTypeNode(node))
      add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node, node.arguments[0], false);
  });
  return found;
}

function isTypeImport({ importClause }: ts.ImportDeclaration): boolean {
  return importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
}

/** Calls `look` for every node of a tree, parents first. */
export function visit(node: ts.Node, look: (node: ts.Node) => void): void {
  look(node);
  ts.forEachChild(node, (child) => {
    visit(child, look);
  });
}

/** `src/plan/rootfs/mounts.ts:3`. */
export function placeOf({ file, tree }: Source, node: ts.Node): string {
  return `src/${file}:${tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1}`;
}
