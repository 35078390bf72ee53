import t from 'tap';
import ts from 'typescript';
import { parseSource, placeOf, readSources, visit, type Source } from './sources.ts';

/** Where `label` is something else than that of a step: of a security module, or of code. */
const OTHER_LABELS = ['planner/peer.ts', 'init/'];
const COMPARISONS = [ts.SyntaxKind.EqualsEqualsEqualsToken, ts.SyntaxKind.ExclamationEqualsEqualsToken];

t.test('nobody decides by the words of a label', (t) => {
  t.strictSame(readSources().flatMap(findReadLabels), [], 'what a step is for is its purpose (errors.ts)');
  const rows: [text: string, isFound: boolean][] = [
    ["if (failure.step?.label.endsWith(': map ids')) f();", true],
    ["if (label === 'create user namespace') f();", true],
    ['if (/^set sysctl /.test(step.label)) f();', true],
    ["if (/^set sysctl /.test(failure.step?.label ?? '')) f();", true],
    ['const [name] = /x/.exec(label) ?? [];', true],
    ["switch (step.label) { case 'x': f(); }", true],
    ["f(`${step.label}: look`, label ?? 'skip');", false],
    ["if (label !== undefined && label !== '') f();", false],
    ["if (step?.purpose === 'set sysctl') f(step.label);", false],
  ];
  for (const [text, isFound] of rows)
    t.equal(findReadLabels(parseSource('container/run.ts', text)).length > 0, isFound, text);
  t.end();
});

/** Where a label of a step is compared or searched. */
function findReadLabels(source: Source): string[] {
  if (OTHER_LABELS.some((place) => source.file.startsWith(place))) return [];
  const found: string[] = [];
  visit(source.tree, (node) => {
    if (readsLabel(node)) found.push(`${placeOf(source, node)}: ${node.getText()}`);
  });
  return found;
}

function readsLabel(node: ts.Node): boolean {
  if (ts.isSwitchStatement(node)) return isLabel(node.expression);
  if (ts.isBinaryExpression(node) && COMPARISONS.includes(node.operatorToken.kind))
    return (isLabel(node.left) && !isNone(node.right)) || (isLabel(node.right) && !isNone(node.left));
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return false;
  const { expression, name } = node.expression;
  return isLabel(expression) || (['test', 'exec'].includes(name.text) && node.arguments.some(isLabel));
}

/** Also one with a text in the place of none. */
function isLabel(node: ts.Node): boolean {
  if (ts.isBinaryExpression(node)) return isLabel(node.left);
  if (ts.isParenthesizedExpression(node)) return isLabel(node.expression);
  return (ts.isPropertyAccessExpression(node) ? node.name : node).getText() === 'label';
}

/** Whether there is one at all is no matter of its words. */
function isNone(node: ts.Node): boolean {
  return ['undefined', "''"].includes(node.getText());
}
