import t from 'tap';
import { findHostRemains, planHideHost, type HostMount } from '../../../src/plan/rootfs/host-mounts.ts';
import { printSteps } from '../fixtures.ts';

const mount = (id: number, parent: number, mountPoint: string, type = 'ext4', root = '/'): HostMount => ({
  id,
  parent,
  root,
  mountPoint,
  type,
});

/** The rootfs, 50, lies on the old root, 10, and has its own proc and sysfs. */
const container = [
  mount(50, 10, '/', 'overlay'),
  mount(51, 50, '/proc', 'proc'),
  mount(52, 50, '/sys', 'sysfs'),
  mount(53, 51, '/proc/kcore', 'tmpfs'),
];
const find = (...host: HostMount[]) => findHostRemains([mount(10, 1, '/'), ...host, ...container], 50);
const ids = (mounts: readonly HostMount[]) => mounts.map(({ id }) => id);

t.test('findHostRemains() passes the container over, and the old root itself', (t) => {
  t.same(find(), { tops: [], revealing: [] });
  // The old root may be the root of the mount namespace, which is its own parent.
  t.same(findHostRemains([mount(10, 10, '/'), ...container], 50), { tops: [], revealing: [] });
  t.end();
});

t.test('findHostRemains() finds full proc and sysfs wherever they are', (t) => {
  const { tops, revealing } = find(
    mount(20, 10, '/proc', 'proc'),
    mount(21, 10, '/sys', 'sysfs'),
    mount(22, 21, '/sys/fs/cgroup', 'cgroup2'),
    mount(23, 10, '/srv'),
    mount(24, 23, '/srv/chroot/proc', 'proc'),
    mount(25, 23, '/srv/part', 'proc', '/sys'),
    mount(26, 10, '/bundle/rootfs/proc', 'proc'),
  );
  t.same(ids(tops), [20, 21, 23, 26]);
  t.same(ids(revealing), [20, 21, 24, 26]);
  t.end();
});

t.test('findHostRemains() does not count what another mount covers whole', (t) => {
  const { tops, revealing } = find(
    mount(20, 10, '/proc', 'proc'),
    mount(21, 20, '/proc', 'proc'),
    mount(22, 21, '/proc/sys/fs/binfmt_misc', 'binfmt_misc'),
    mount(23, 10, '/sys', 'sysfs'),
    mount(24, 23, '/sys', 'tmpfs'),
  );
  t.same(ids(revealing), [21]);
  t.same(
    tops.map(({ id, isCovered }) => [id, isCovered]),
    [
      [20, true],
      [23, true],
    ],
  );
  t.end();
});

t.test('findHostRemains() takes no more than a moment for thousands of mounts', (t) => {
  const many = Array.from({ length: 20_000 }, (_, index) => mount(100 + index, 10, `/var/${index}`, 'overlay'));
  t.equal(find(...many).tops.length, 20_000);
  t.end();
});

t.test('planHideHost() unmounts, the latest first, but not below another mount', (t) => {
  const remains = find(
    mount(20, 10, '/proc', 'proc'),
    mount(21, 10, '/sys', 'sysfs'),
    mount(22, 21, '/sys', 'sysfs'),
    mount(23, 10, '/n\xff'),
  );
  t.equal(
    printSteps(planHideHost(remains, { sync: 3, cover: false }).steps),
    `
   0  mount(NULL, "/n\xff", NULL, MS_PRIVATE|MS_REC, NULL), accepts any errno  # cut "/n\xff" of the host off
   1  umount2("/n\xff", MNT_DETACH), accepts any errno  # unmount "/n\xff" of the host
   2  mount(NULL, "/sys", NULL, MS_PRIVATE|MS_REC, NULL), accepts any errno  # cut "/sys" of the host off
   3  mount(NULL, "/proc", NULL, MS_PRIVATE|MS_REC, NULL), accepts any errno  # cut "/proc" of the host off
   4  umount2("/proc", MNT_DETACH), accepts any errno  # unmount "/proc" of the host
   5  write(3, tag 28, 8)  # tell that the mounts of the host are hidden
`,
  );
  t.end();
});

t.test('planHideHost() covers what cannot be unmounted', (t) => {
  const remains = find(mount(20, 10, '/proc', 'proc'), mount(21, 20, '/proc/sys', 'tmpfs'));
  t.equal(
    printSteps(planHideHost(remains, { sync: 3, cover: true }).steps),
    `
   0  mount("tmpfs", "/proc", "tmpfs", MS_NODEV|MS_NOEXEC|MS_NOSUID|MS_RDONLY, "nr_blocks=1,nr_inodes=1"), accepts any errno  # cover "/proc" of the host
   1  write(3, tag 28, 8)  # tell that the mounts of the host are hidden
`,
  );
  t.end();
});

t.test('planHideHost() passes the bytes of a mount point on as they are', (t) => {
  const [step] = planHideHost(find(mount(23, 10, '/n\xff')), { sync: 3, cover: false }).steps;
  t.same(step?.kind === 'call' ? step.operands[1] : undefined, {
    kind: 'block',
    bytes: Uint8Array.from([0x2f, 0x6e, 0xff, 0]),
    links: [],
    text: '"/n\xff"',
  });
  t.end();
});
