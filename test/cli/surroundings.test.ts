import t from 'tap';
import { absolutePath, isInitialIdMap, processSurroundings } from '../../src/cli/surroundings.ts';
import { fakeSurroundings } from './fixtures.ts';

t.test('absolutePath() goes by the working directory', (t) => {
  const rows = [
    ['a', '/work/a'],
    ['../a', '/a'],
    ['/a/../b', '/b'],
    ['.', '/work'],
    ['', undefined],
    [undefined, undefined],
  ] as const;
  for (const [path, expected] of rows) t.equal(absolutePath(path, fakeSurroundings()), expected, path ?? 'none');
  t.end();
});

t.test('isInitialIdMap() knows the map of the initial user namespace', (t) => {
  t.ok(isInitialIdMap('         0          0 4294967295\n'));
  t.notOk(isInitialIdMap('         0       1000          1\n'));
  t.notOk(isInitialIdMap('         0       1000          1\n         1     100000      65536\n'));
  t.notOk(isInitialIdMap(''));
  t.end();
});

t.test('processSurroundings() are those of this process', (t) => {
  const surroundings = processSurroundings();
  t.equal(surroundings.currentDirectory(), process.cwd());
  t.equal(surroundings.uid, process.geteuid?.());
  t.type(surroundings.inUserNamespace(), 'boolean');
  t.end();
});
