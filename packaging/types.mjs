/**
 * Makes `dist/types` of the declarations in `dist/lib`: those that `index.d.ts` leads to, for other programs to compile against.
 */
import * as fs from 'node:fs';
import path from 'node:path';

const ENTRY = 'index.d.ts';

/** `from '…'` and `import('…')` of a declaration, where a file of this package is named. */
const RELATIVE = /(?<=\bfrom '|\bimport\(')(\.[^']+)\.ts(?=')/g;

/**
 * @param {string} from
 * @param {string} to
 */
export function copyTypes(from, to) {
  fs.rmSync(to, { recursive: true, force: true });
  const waiting = [ENTRY];
  const seen = new Set(waiting);
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    const text = fs.readFileSync(path.join(from, file), 'utf8');
    for (const [, wanted = ''] of text.matchAll(RELATIVE)) {
      const next = path.join(path.dirname(file), `${wanted}.d.ts`);
      if (!seen.has(next)) waiting.push(next);
      seen.add(next);
    }
    fs.mkdirSync(path.dirname(path.join(to, file)), { recursive: true });
    // Every compiler finds x.d.ts behind "x.js"; behind "x.ts" only those that may import such files.
    fs.writeFileSync(path.join(to, file), text.replaceAll(RELATIVE, '$1.js'));
  }
}
