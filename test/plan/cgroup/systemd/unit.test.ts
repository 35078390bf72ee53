import t from 'tap';
import { planUnit, type BusName } from '../../../../src/plan/cgroup/systemd/unit.ts';
import { V1_LAYOUT, V2_LAYOUT } from '../fixtures.ts';

const unitOf = (cgroupsPath: string | undefined, bus: BusName = 'system', layout = V2_LAYOUT) =>
  planUnit({ cgroupsPath, id: 'c1', bus, layout, uid: bus === 'user' ? 1000 : 0 });

t.test('planUnit() reads slice, prefix and name', (t) => {
  const cases: [string | undefined, string, string][] = [
    [undefined, 'tsrun-c1.scope', '/system.slice/tsrun-c1.scope'],
    ['', 'tsrun-c1.scope', '/system.slice/tsrun-c1.scope'],
    ['machine.slice:podman:web', 'podman-web.scope', '/machine.slice/podman-web.scope'],
    ['a-b-c.slice:p:n', 'p-n.scope', '/a.slice/a-b.slice/a-b-c.slice/p-n.scope'],
    ['-.slice:p:n', 'p-n.scope', '/p-n.scope'],
    [':p:n', 'p-n.scope', '/system.slice/p-n.scope'],
    ['::n', 'n.scope', '/system.slice/n.scope'],
    ['x.slice:p:pod-1.slice', 'pod-1.slice', '/pod.slice/pod-1.slice'],
  ];
  for (const [path, unit, cgroup] of cases) t.match(unitOf(path), { unit, path: cgroup }, path ?? 'absent');
  t.equal(unitOf('x.slice:p:pod.slice').isSlice, true);
  t.end();
});

t.test('planUnit() lies below the manager of a user', (t) => {
  t.match(unitOf(undefined, 'user'), {
    slice: 'user.slice',
    path: '/user.slice/user-1000.slice/user@1000.service/user.slice/tsrun-c1.scope',
  });
  const ownPath = '/user.slice/user-7.slice/user@7.service/app.slice/shell.scope';
  const own = { ...V2_LAYOUT, unified: { mountPoint: '/sys/fs/cgroup', controllers: [], ownPath } };
  t.equal(unitOf('app.slice:p:n', 'user', own).path, '/user.slice/user-7.slice/user@7.service/app.slice/p-n.scope');
  const session = unitOf(undefined, 'user', V1_LAYOUT).path;
  t.equal(session, '/user.slice/user-1000.slice/user@1000.service/user.slice/tsrun-c1.scope');
  t.end();
});

t.test('planUnit() refuses what is no unit, and a way out of the slice', (t) => {
  const refused = ['/c1', 'a:b', 'a.slice:b:', 'a.slice:b:c:d', 'a:b:c', 'a..slice/x.slice:p:n', '../x.slice:p:n'];
  refused.push('-a.slice:p:n', 'a--b.slice:p:n', ':p:../n', ':p:n/m', `:p:${'n'.repeat(300)}`, ':p:n m', ':p:n\0');
  for (const path of refused) {
    t.throws(() => unitOf(path), { code: 'config', issues: [{ pointer: '/linux/cgroupsPath' }] }, JSON.stringify(path));
  }
  t.end();
});
