import t from 'tap';
import { planIdMaps } from '../../../src/plan/namespaces/id-maps.ts';
import type { Config, IdMapping } from '../../../src/spec/generated/config.ts';
import { makeHost } from '../fixtures.ts';

function config(uidMappings: IdMapping[], gidMappings = uidMappings, path?: string): Config {
  const user = { type: 'user' as const, ...(path === undefined ? {} : { path }) };
  return { ociVersion: '1.3.0', linux: { namespaces: [user], uidMappings, gidMappings } };
}

const wide = [
  { containerID: 0, hostID: 1000, size: 1 },
  { containerID: 1, hostID: 100000, size: 65536 },
];
const own = [{ containerID: 0, hostID: 1000, size: 1 }];
const root = makeHost().identity;
const user = { ...root, euid: 1000, egid: 1000, effectiveCapabilities: '0000000000000000' };

t.test('planIdMaps() needs a new user namespace', (t) => {
  t.equal(planIdMaps({ ociVersion: '1.3.0' }, root), undefined);
  t.equal(planIdMaps(config(wide, wide, '/proc/77/ns/user'), root), undefined);
  t.same(planIdMaps(config([]), root), { uid: [], gid: [], uidTool: false, gidTool: false, denySetgroups: false });
  t.end();
});

t.test('planIdMaps() has root write the maps itself and keep setgroups', (t) => {
  t.same(planIdMaps(config(wide), root), {
    uid: wide,
    gid: wide,
    uidTool: false,
    gidTool: false,
    denySetgroups: false,
  });
  t.end();
});

t.test('CVE-2014-8989: planIdMaps() has a user who maps itself deny setgroups', (t) => {
  t.same(planIdMaps(config(own), user), { uid: own, gid: own, uidTool: false, gidTool: false, denySetgroups: true });
  t.end();
});

t.test('planIdMaps() has a user take the tools for more than itself', (t) => {
  t.same(planIdMaps(config(wide), user), { uid: wide, gid: wide, uidTool: true, gidTool: true, denySetgroups: false });
  t.match(planIdMaps(config(wide, own), user), { uidTool: true, gidTool: false, denySetgroups: true });
  t.match(planIdMaps(config(own, wide), user), { uidTool: false, gidTool: true, denySetgroups: false });
  const other = [{ containerID: 0, hostID: 1001, size: 1 }];
  t.match(planIdMaps(config(other, other), user), { uidTool: true, gidTool: true });
  const two = [{ containerID: 0, hostID: 1000, size: 2 }];
  t.match(planIdMaps(config(two, two), user), { uidTool: true, gidTool: true });
  t.end();
});

t.test('planIdMaps() compares the group map with the group', (t) => {
  const groups = [{ containerID: 0, hostID: 100, size: 1 }];
  t.match(planIdMaps(config(own, groups), { ...user, egid: 100 }), { gidTool: false, denySetgroups: true });
  t.match(planIdMaps(config(own, own), { ...user, egid: 100 }), { gidTool: true, denySetgroups: false });
  t.end();
});

t.test('planIdMaps() has the root of a user namespace write the maps itself', (t) => {
  // man 7 user_namespaces: CAP_SETUID and CAP_SETGID in the parent user namespace suffice, and its root has them.
  const nested = { ...root, inUserNamespace: true };
  t.match(planIdMaps(config(wide), nested), { uidTool: false, gidTool: false, denySetgroups: false });
  t.end();
});
