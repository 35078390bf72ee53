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

const again = { handOver: () => new Uint8Array(0), environment: () => [] };

t.test('workingDirectory() says why there is none', (t) => {
  const gone = processSurroundings({ again, workingDirectoryErrno: 'ENOENT' });
  t.throws(() => absolutePath('a', gone), {
    code: 'host',
    message: 'find the working directory: no such file or directory: ENOENT',
  });
  t.equal(absolutePath('/a', gone), '/a');
  t.end();
});

t.test('processSurroundings() have the limit of the caller where it was raised', (t) => {
  const limit = { soft: 1024n, hard: 4096n };
  t.same(processSurroundings({ again, openFiles: limit }).openFiles(), limit);
  t.equal(processSurroundings({ again, openFiles: { soft: 4096n, hard: 4096n } }).openFiles(), undefined);
  t.equal(processSurroundings({ again }).openFiles(), undefined);
  t.end();
});

t.test('processSurroundings() may leave behind a launcher alone, and say what came of it', (t) => {
  t.same(processSurroundings().leaving, {});
  const { leave, answer } = processSurroundings({ again, answer: 7 }).leaving;
  t.match(leave, { ...again, path: process.execPath });
  t.same(leave?.args.slice(1), process.argv.slice(2));
  t.equal(answer, 7);
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
