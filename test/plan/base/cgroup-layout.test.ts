import t from 'tap';
import {
  cgroupPlaces,
  ownCgroupsAreWritable,
  withoutForeignTracking,
  type CgroupLayout,
} from '../../../src/plan/base/cgroup-layout.ts';

function layoutOf(systemd: string, unified: string, mode: 'hybrid' | 'v2' = 'hybrid'): CgroupLayout {
  const hierarchy = (controller: string, mountPoint: string) => ({
    controllers: [controller],
    mountPoint,
    ownPath: '/own',
  });
  return {
    mode,
    hierarchies: [hierarchy('memory', '/none'), hierarchy('name=systemd', systemd)],
    unified: { mountPoint: unified, ownPath: '/own/mine', controllers: [] },
  };
}

t.test('cgroupPlaces() are the own cgroup, and on cgroup2 the one around it', (t) => {
  t.strictSame(cgroupPlaces(layoutOf('/a', '/b')), ['/none/own', '/a/own', '/b/own']);
  const top = { mountPoint: '/b', ownPath: '/', controllers: [] };
  t.strictSame(cgroupPlaces({ mode: 'v2', hierarchies: [], unified: top }), ['/b/']);
  t.strictSame(cgroupPlaces({ mode: 'v2', hierarchies: [], unified: { ...top, ownPath: '/own' } }), ['/b/']);
  t.strictSame(cgroupPlaces({ mode: 'none', hierarchies: [] }), []);
  t.end();
});

t.test('ownCgroupsAreWritable() in every hierarchy', (t) => {
  t.ok(ownCgroupsAreWritable(layoutOf('/a', '/b'), ['/none/own', '/a/own', '/b/own']));
  t.notOk(ownCgroupsAreWritable(layoutOf('/a', '/b'), ['/none/own', '/b/own']));
  t.end();
});

t.test('withoutForeignTracking() leaves out what only keeps processes apart and is not writable', (t) => {
  const writable = ['/mine/own'];
  const kept = layoutOf('/mine', '/mine');
  t.strictSame(withoutForeignTracking(kept, writable), kept);
  const { unified: _unified, ...alone } = layoutOf('/none', '/none');
  const bare = { ...alone, mode: 'v1', hierarchies: alone.hierarchies.slice(0, 1) };
  t.strictSame(
    withoutForeignTracking(layoutOf('/none', '/none'), writable),
    bare,
    'a controller stays, whoever it belongs to',
  );
  const v2 = layoutOf('/mine', '/none', 'v2');
  t.strictSame(withoutForeignTracking(v2, writable), v2, 'cgroup v2 alone has the controllers');
  t.end();
});
