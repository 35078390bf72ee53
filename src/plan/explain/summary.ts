import type { Program } from '../../program/step.ts';
import { escapeControls } from '../../util/escape-controls.ts';
import type { Fact, MountNode, NamespaceFact, Picture } from './picture.ts';
import { show } from './show.ts';

/** A row of a summary: its name, and what is said of it, a line each. */
export type SummaryRow = readonly [name: string, lines: readonly string[]];

/** The container in a few lines: what it is, what it shares with the host, and what its making takes. */
export function printSummary(picture: Picture, programs: readonly Program[]): string {
  const rows = summaryRows(picture, programs);
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.flatMap(([name, texts]) =>
    texts.map((text, index) => `  ${(index === 0 ? name : '').padEnd(width)}  ${text}`),
  );
  const title = `container ${JSON.stringify(picture.id)} of the bundle ${JSON.stringify(picture.bundle)}`;
  return escapeControls(`${[title, '', ...lines].join('\n')}\n`);
}

/** The rows of a summary; one that nothing is said of is left out. */
export function summaryRows(picture: Picture, programs: readonly Program[]): readonly SummaryRow[] {
  const rows: readonly SummaryRow[] = [
    ['program', [picture.program.text]],
    ['namespaces', namespaceLines(picture.namespaces)],
    ['network', texts(picture.network)],
    ['ids', texts(picture.ids)],
    ['capabilities', texts(picture.capabilities)],
    ['mounts', mountLines(picture.mounts)],
    ['cgroup', texts(picture.cgroup)],
    ['seccomp', [picture.seccomp.text]],
    ['held back by', texts(picture.bounds)],
    ['hooks', texts(picture.hooks)],
    ['weak spots', picture.weakSpots.map(({ pointer, message }) => `${pointer}: ${message}`)],
    ['warnings', picture.warnings],
    ['to make it', programs.map(({ name, steps }) => `${name}: ${steps.length} steps`)],
  ];
  return rows.filter(([, lines]) => lines.length > 0);
}

function texts(facts: readonly Fact[]): string[] {
  return facts.map(({ text }) => text);
}

function namespaceLines(namespaces: readonly NamespaceFact[]): string[] {
  const ofKind = (kind: NamespaceFact['kind']): NamespaceFact[] => namespaces.filter((each) => each.kind === kind);
  const types = (kind: NamespaceFact['kind']): string[] =>
    ofKind(kind).map(({ type, path }) => (path === undefined ? type : `${type} (${show(path)})`));
  return (
    [
      ['its own', types('own')],
      ['joined', types('joined')],
      ["the host's", types('host')],
    ] as const
  )
    .filter(([, list]) => list.length > 0)
    .map(([kind, list]) => `${kind}: ${list.join(', ')}`);
}

function mountLines(root: MountNode): string[] {
  const rows: [tree: string, text: string][] = [[root.destination, root.text]];
  const visit = (node: MountNode, indent: string): void => {
    node.children.forEach((child, index) => {
      const isLast = index === node.children.length - 1;
      rows.push([`${indent}${isLast ? '└─ ' : '├─ '}${show(child.destination)}`, child.text]);
      visit(child, `${indent}${isLast ? '   ' : '│  '}`);
    });
  };
  visit(root, '');
  const width = Math.min(Math.max(...rows.map(([tree]) => tree.length)), WIDEST_TREE);
  return rows.map(([tree, text]) => `${tree.padEnd(width)}  ${text}`);
}

const WIDEST_TREE = 40;
