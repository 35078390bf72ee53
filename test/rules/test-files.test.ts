import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const top = fileURLToPath(new URL('../../', import.meta.url));
const files = ['test', 'conformance'].flatMap((folder) =>
  readdirSync(path.join(top, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mjs)$/.test(name))
    .map((name) => path.join(folder, name)),
);

t.test('nobody imports a test file: the cache of lint relies on it', (t) => {
  const importers = files.filter((file) =>
    /\b(from|import)\b[^\n]*\.test\.ts['"]/.test(readFileSync(path.join(top, file), 'utf8')),
  );
  t.strictSame(importers, []);
  t.end();
});
