import t from 'tap';
import { idmapNamespaceOf, planIdmapNamespaces } from '../../../src/plan/rootfs/idmapped-mounts.ts';
import type { Config, Mount } from '../../../src/spec/generated/config.ts';

const map = (hostID: number) => [{ containerID: 0, hostID, size: 10 }];
const bind = (changes: Partial<Mount> = {}): Mount => ({
  destination: '/a',
  source: '/s',
  options: ['bind'],
  ...changes,
});
const mapped = (uid: number, gid = uid): Mount => bind({ uidMappings: map(uid), gidMappings: map(gid) });

function config(mounts: Mount[], user?: { path?: string }): Config {
  const namespaces = user === undefined ? [] : [{ type: 'user' as const, ...user }];
  return { ociVersion: '1.3.0', mounts, linux: { namespaces, uidMappings: map(7), gidMappings: map(8) } };
}

t.test('planIdmapNamespaces() lists each map once, in the order of the mounts', (t) => {
  const mounts = [bind(), mapped(1), mapped(2), mapped(1), mapped(1, 2)];
  const all = config(mounts);
  t.same(planIdmapNamespaces(all), [
    { kind: 'new', uid: map(1), gid: map(1) },
    { kind: 'new', uid: map(2), gid: map(2) },
    { kind: 'new', uid: map(1), gid: map(2) },
  ]);
  t.same(
    mounts.map((mount) => idmapNamespaceOf(all, mount)),
    [undefined, 0, 1, 0, 2],
  );
  t.end();
});

t.test('planIdmapNamespaces() takes the maps of the container for a mount without its own', (t) => {
  for (const option of ['idmap', 'ridmap']) {
    const mount = bind({ options: ['bind', option] });
    t.same(planIdmapNamespaces(config([mount], {})), [{ kind: 'new', uid: map(7), gid: map(8) }]);
    t.same(planIdmapNamespaces(config([mount], { path: '/proc/7/ns/user' })), [
      { kind: 'path', path: '/proc/7/ns/user' },
    ]);
  }
  t.end();
});

t.test('planIdmapNamespaces() has the own maps win over a joined namespace', (t) => {
  const mount = { ...mapped(1), options: ['bind', 'idmap'] };
  t.same(planIdmapNamespaces(config([mount], { path: '/proc/7/ns/user' })), [
    { kind: 'new', uid: map(1), gid: map(1) },
  ]);
  t.end();
});

t.test('idmapNamespaceOf() is undefined for what is no bind mount', (t) => {
  const mount: Mount = { destination: '/a', type: 'tmpfs', options: ['idmap'] };
  t.equal(idmapNamespaceOf(config([mount], {}), mount), undefined);
  t.same(planIdmapNamespaces({ ociVersion: '1.3.0' }), []);
  t.end();
});
