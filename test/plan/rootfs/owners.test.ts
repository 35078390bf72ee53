import t from 'tap';
import { planOwners } from '../../../src/plan/rootfs/owners.ts';

const ME = { euid: 1000, egid: 1001 };
const tools = { uidTool: true, gidTool: true, denySetgroups: false };

t.test('planOwners() is for those who cannot remove what their containers make', (t) => {
  const own = [{ containerID: 0, hostID: 1000, size: 1 }];
  t.equal(planOwners(undefined, ME), undefined, 'without a user namespace');
  t.equal(planOwners({ uid: own, gid: own, uidTool: false, gidTool: false, denySetgroups: true }, ME), undefined);
  t.end();
});

t.test('planOwners() maps the same ids of the host from 0 on, the own ones among them', (t) => {
  const maps = {
    ...tools,
    uid: [
      { containerID: 5, hostID: 1000, size: 1 },
      { containerID: 100, hostID: 200_000, size: 10 },
    ],
    gid: [{ containerID: 7, hostID: 300_000, size: 3 }],
  };
  t.strictSame(planOwners(maps, ME), {
    ...tools,
    uid: [
      { containerID: 0, hostID: 1000, size: 1 },
      { containerID: 1, hostID: 200_000, size: 10 },
    ],
    gid: [
      { containerID: 0, hostID: 1001, size: 1 },
      { containerID: 1, hostID: 300_000, size: 3 },
    ],
  });
  t.end();
});
