import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import t from 'tap';
import {
  ensureDirectory,
  ensurePath,
  listTree,
  removeEmpty,
  removeTree,
  refuseOtherType,
} from '../../src/cgroup/directory.ts';

t.test('ensurePath() makes what is missing and says what that was, deepest first', (t) => {
  const mountPoint = t.testdir({ a: {} });
  const first = ensurePath({ mountPoint, path: '/a/b/c' });
  t.strictSame(first, { hostPath: `${mountPoint}/a/b/c`, made: [`${mountPoint}/a/b/c`, `${mountPoint}/a/b`] });
  t.strictSame(ensurePath({ mountPoint, path: '/a/b/c' }).made, []);
  t.end();
});

t.test('ensureDirectory() makes nothing on a plain file system that looks like a controller', (t) => {
  const mountPoint = t.testdir({ 'cgroup.procs': '', tasks: '' });
  for (const kind of ['v1', 'v2'] as const) {
    t.throws(() => ensureDirectory({ kind, mountPoint, path: '/c1' }), {
      code: 'cgroup',
      message: /wanted file system cgroup2? \(0x/,
    });
  }
  t.throws(
    () => {
      refuseOtherType(mountPoint, { kind: 'v2', found: 0x27e0eb });
    },
    { code: 'cgroup' },
    'the other kind of cgroup',
  );
  t.throws(() => ensureDirectory({ kind: 'v2', mountPoint: `${mountPoint}/none`, path: '/c1' }), {
    code: 'cgroup',
    errno: 'ENOENT',
  });
  t.notOk(existsSync(`${mountPoint}/c1`));
  t.end();
});

t.test('ensurePath() refuses symlinks, files and other file systems on the way, and cleans up', (t) => {
  const mountPoint = t.testdir({ file: '' });
  mkdirSync(`${mountPoint}/real`);
  symlinkSync('real', `${mountPoint}/link`);
  for (const path of ['/link', '/link/x', '/file', '/new/../x']) {
    t.throws(() => ensurePath({ mountPoint, path }), path);
  }
  t.strictSame(
    listTree(mountPoint),
    [mountPoint, `${mountPoint}/real`],
    'nothing is left, nothing went through the link',
  );
  t.throws(() => ensurePath({ mountPoint: '/', path: '/proc/x' }), {
    message: /another file system/,
  });
  t.end();
});

t.test('removeTree() removes the cgroups inside, and removeEmpty() stops at what others use', (t) => {
  const root = t.testdir({ c1: { a: { b: {} } }, p: { q: {}, other: {} } });
  t.ok(removeTree(`${root}/c1`));
  t.ok(removeTree(`${root}/c1`), 'gone already');
  removeEmpty([`${root}/p/q`, `${root}/p`]);
  t.strictSame(listTree(root), [root, `${root}/p`, `${root}/p/other`]);
  t.end();
});
