import t from 'tap';
import { hostPlatform, readPlatform, splitReference } from '../../../src/image/parse/reference.ts';

t.test('splitReference() takes for a tag what no path has in it', (t) => {
  const known = new Set(['/a', '/a:b', '/img.tar']);
  const split = (word: string) => splitReference(word, (path) => known.has(path));
  t.strictSame(split('/a'), { path: '/a' });
  t.strictSame(split('/a:b'), { path: '/a:b' });
  t.strictSame(split('/a:c'), { path: '/a', tag: 'c' });
  t.strictSame(split('/a:b:c'), { path: '/a:b', tag: 'c' });
  t.strictSame(split('/img.tar:host:5000/x/y:1'), { path: '/img.tar', tag: 'host:5000/x/y:1' });
  t.strictSame(split('/none:c'), { path: '/none:c' });
  t.end();
});

t.test('readPlatform() reads two or three words', (t) => {
  t.strictSame(readPlatform('linux/arm64'), { os: 'linux', architecture: 'arm64' });
  t.strictSame(readPlatform('linux/arm/v7'), { os: 'linux', architecture: 'arm', variant: 'v7' });
  for (const text of ['', 'linux', 'linux/', 'a/b/c/d', 'linux/ARM'])
    t.throws(() => readPlatform(text), { code: 'usage' }, text);
  t.strictSame(hostPlatform('x64'), { os: 'linux', architecture: 'amd64' });
  t.end();
});
