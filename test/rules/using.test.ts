import t from 'tap';
import ts from 'typescript';
import { parseSource, placeOf, readSources, visit, type Source } from './sources.ts';

/**
 * esbuild keeps the error with which a block of `using` has ended in a variable of the whole function: where a loop goes on after the error was
 * caught, the next round throws it once more at its end. The body of the loop belongs in a function of its own.
 */
function caughtInLoops(source: Source): string[] {
  const found: string[] = [];
  visit(source.tree, (node) => {
    if (!ts.isVariableDeclarationList(node) || (node.flags & ts.NodeFlags.Using) === 0) return;
    let isCaught = false;
    for (let inner: ts.Node = node; !ts.isFunctionLike(inner.parent) && !ts.isSourceFile(inner); inner = inner.parent) {
      const outer = inner.parent;
      if (ts.isTryStatement(outer) && outer.tryBlock === inner && outer.catchClause !== undefined) isCaught = true;
      if (isCaught && ts.isIterationStatement(outer, false)) found.push(placeOf(source, node));
    }
  });
  return found;
}

t.test('no loop goes on after an error that a block of `using` has ended with', (t) => {
  t.strictSame(readSources().flatMap(caughtInLoops), []);
  t.end();
});

t.test('the rule finds one, and nothing else', (t) => {
  const body = 'try { using a = open(); } catch {}';
  const places = (text: string): number => caughtInLoops(parseSource('a.ts', text)).length;
  t.equal(places(`for (const one of all) { ${body} }`), 1);
  t.equal(places(`while (true) { if (one) { ${body} } }`), 1);
  t.equal(places(`for (const one of all) { const f = () => { ${body} }; }`), 0, 'a function of its own');
  t.equal(places('try { for (const one of all) { using a = open(); } } catch {}'), 0, 'the loop has ended');
  t.equal(places('for (const one of all) { try { using a = open(); } finally { end(); } }'), 0, 'so has the function');
  t.end();
});
