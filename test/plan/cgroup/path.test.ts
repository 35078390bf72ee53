import t from 'tap';
import { ancestorsOf, planCgroupDirectories } from '../../../src/plan/cgroup/path.ts';
import { HYBRID_LAYOUT, V1_LAYOUT, V2_LAYOUT } from './fixtures.ts';

const paths = (layout: typeof V1_LAYOUT, cgroupsPath: string | undefined): string[] => {
  return [...new Set(planCgroupDirectories({ layout, cgroupsPath, id: 'c1' }).map(({ path }) => path))];
};

t.test('planCgroupDirectories() counts an absolute path from the mount point', (t) => {
  t.strictSame(paths(V1_LAYOUT, '/a//./b/'), ['/a/b']);
  t.strictSame(paths(HYBRID_LAYOUT, '/a/b'), ['/a/b']);
  t.strictSame(paths(V2_LAYOUT, '/a/b'), ['/a/b']);
  t.end();
});

t.test('planCgroupDirectories() counts a relative path from the own cgroup on v1, from its parent on v2', (t) => {
  t.strictSame(paths(V1_LAYOUT, 'a/b'), ['/own/a/b', '/user.slice/session-1.scope/a/b']);
  t.strictSame(paths(V2_LAYOUT, 'a/b'), ['/user.slice/a/b']);
  t.strictSame(paths(HYBRID_LAYOUT, 'a'), ['/a']);
  const unified = { ...V2_LAYOUT.unified, controllers: [], mountPoint: '/sys/fs/cgroup' };
  for (const ownPath of ['/init.scope', '/'])
    t.strictSame(paths({ ...V2_LAYOUT, unified: { ...unified, ownPath } }, 'a/b'), ['/a/b'], ownPath);
  t.end();
});

t.test('planCgroupDirectories() takes the id when there is no path', (t) => {
  t.strictSame(paths(V1_LAYOUT, undefined), ['/own/c1', '/user.slice/session-1.scope/c1']);
  t.strictSame(paths(V2_LAYOUT, ''), ['/user.slice/c1']);
  t.end();
});

t.test('planCgroupDirectories() refuses what could leave its place', (t) => {
  const hostile = [
    '/',
    '.',
    '/./',
    '..',
    '/a/../b',
    '/a/..',
    'a\0b',
    '/a\nb',
    `/${'x'.repeat(256)}`,
    `/${'é'.repeat(128)}`,
    '/a'.repeat(2000),
  ];
  for (const path of hostile) {
    t.throws(
      () => paths(V2_LAYOUT, path),
      { code: 'config', issues: [{ pointer: '/linux/cgroupsPath' }] },
      JSON.stringify(path.slice(0, 20)),
    );
  }
  t.end();
});

t.test('planCgroupDirectories() takes names that only look special', (t) => {
  t.strictSame(paths(V2_LAYOUT, '/...'), ['/...']);
  t.strictSame(paths(V2_LAYOUT, '/system.slice:tsrun:x'), ['/system.slice:tsrun:x']);
  t.strictSame(paths(V2_LAYOUT, `/${'x'.repeat(255)}`), [`/${'x'.repeat(255)}`]);
  t.end();
});

t.test('ancestorsOf() lists the cgroups above, outermost first', (t) => {
  t.strictSame(ancestorsOf('/a/b/c'), ['/', '/a', '/a/b']);
  t.strictSame(ancestorsOf('/a'), ['/']);
  t.end();
});
