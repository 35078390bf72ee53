import t from 'tap';
import { cleanPath } from '../../src/spec/clean-path.ts';

t.test('cleanPath() is absolute and without detours', (t) => {
  const rows = [
    ['', '/'],
    ['/', '/'],
    ['a', '/a'],
    ['/a//b/./c/', '/a/b/c'],
    ['/a/../../b', '/b'],
    ['..', '/'],
    ['/...', '/...'],
  ] as const;
  for (const [path, clean] of rows) t.equal(cleanPath(path), clean, path);
  t.end();
});
