import { closeSync, openSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { readText } from '../../src/cli/read-text.ts';

t.test('readText() reads to the end', (t) => {
  const directory = t.testdir({ small: 'text\n', large: 'x'.repeat(200_000) });
  for (const [name, length] of [
    ['small', 5],
    ['large', 200_000],
  ] as const) {
    const fd = openSync(`${directory}/${name}`, 'r');
    t.equal(readText(fd).length, length);
    closeSync(fd);
  }
  t.end();
});

t.test('readText() refuses what is too large or cannot be read', (t) => {
  const directory = t.testdir({});
  writeFileSync(`${directory}/huge`, Buffer.alloc(17 * 1024 * 1024));
  const huge = openSync(`${directory}/huge`, 'r');
  t.throws(() => readText(huge), { code: 'host', message: /more than 16777216 bytes/ });
  closeSync(huge);
  const folder = openSync(directory, 'r');
  t.throws(() => readText(folder), { code: 'host', errno: 'EISDIR' });
  closeSync(folder);
  t.end();
});
