import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { realPath } from '../../src/host/real-path.ts';

t.test('realPath() refuses a path that no text can name', (t) => {
  const directory = t.testdir();
  const bytes = Buffer.concat([Buffer.from(`${directory}/a`), Buffer.of(0xff)]);
  mkdirSync(bytes);
  mkdirSync(path.join(directory, 'a\uFFFD'));
  symlinkSync(bytes, path.join(directory, 'link'));
  symlinkSync('a\uFFFD', path.join(directory, 'other'));
  t.throws(() => realPath(path.join(directory, 'link')), { code: 'EILSEQ' });
  t.equal(realPath(path.join(directory, 'other')), path.join(directory, 'a\uFFFD'), 'a name that is UTF-8');
  t.throws(() => realPath(path.join(directory, 'missing')), { code: 'ENOENT' });
  t.end();
});
