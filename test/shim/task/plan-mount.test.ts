import t from 'tap';
import { planMount } from '../../../src/shim/task/plan-mount.ts';
import { CODE } from '../../../src/shim/wire/rpc.ts';
import { MS_BIND, MS_NOSUID, MS_RDONLY, MS_REC, MS_REMOUNT, MS_SLAVE } from '../../../src/util/constants.ts';

t.test('planMount() makes flags of what is one, and data of the rest', (t) => {
  const overlay = { type: 'overlay', source: 'overlay', options: ['index=off', 'nosuid', 'lowerdir=/a:/b'] };
  t.strictSame(planMount(overlay), [
    { type: 'overlay', source: 'overlay', flags: MS_NOSUID, data: 'index=off,lowerdir=/a:/b' },
  ]);
  t.strictSame(planMount({ type: 'bind', source: '/a', options: ['rbind', 'rw'] }), [
    { type: 'bind', source: '/a', flags: MS_BIND | MS_REC, data: '' },
  ]);
  t.end();
});

t.test('planMount() gives a bind mount its own flags in a second call, and a propagation in one more', (t) => {
  t.strictSame(planMount({ type: 'bind', source: '/a', options: ['rbind', 'ro', 'rslave'] }), [
    { type: 'bind', source: '/a', flags: MS_BIND | MS_REC | MS_RDONLY, data: '' },
    { type: 'bind', source: '/a', flags: MS_BIND | MS_REMOUNT | MS_RDONLY, data: '' },
    { type: '', source: 'none', flags: MS_SLAVE | MS_REC, data: '' },
  ]);
  t.end();
});

t.test('planMount() makes lower directories relative where there are too many for a page', (t) => {
  const directory = '/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots';
  const names = Array.from({ length: 100 }, (_, index) => `${index + 1}/fs`);
  const lower = `lowerdir=${names.map((name) => `${directory}/${name}`).join(':')}`;
  const [mount] = planMount({ type: 'overlay', source: 'overlay', options: ['index=off', lower, 'upperdir=/u'] });
  t.equal(mount?.directory, directory);
  t.equal(mount?.data, `index=off,lowerdir=${names.join(':')},upperdir=/u`);
  const far = Array.from({ length: 3000 }, (_, index) => `${directory}/${index}/fs`).join(':');
  t.throws(() => planMount({ type: 'overlay', options: [`lowerdir=${far}`] }), { code: CODE.invalidArgument });
  const apart = Array.from({ length: 500 }, (_, index) => `/${index}/${'x'.repeat(20)}`).join(':');
  t.throws(() => planMount({ type: 'overlay', options: [`lowerdir=${apart}`] }), /longer than a page/);
  t.end();
});

t.test('planMount() maps the ids of lower directories, or of the mount itself', (t) => {
  const maps = ['uidmap=0:100:5,5:7:1', 'gidmap=0:4294967294:1'];
  const idMap = {
    uid: [
      { containerID: 0, hostID: 100, size: 5 },
      { containerID: 5, hostID: 7, size: 1 },
    ],
    gid: [{ containerID: 0, hostID: 4294967294, size: 1 }],
  };
  t.strictSame(planMount({ type: 'overlay', source: 'overlay', options: ['index=off', ...maps, 'lowerdir=/a:/b'] }), [
    { type: 'overlay', source: 'overlay', flags: 0, data: 'index=off', idMap, lower: ['/a', '/b'] },
  ]);
  t.strictSame(planMount({ type: 'bind', source: '/a', options: ['bind', ...maps] }), [
    { type: 'bind', source: '/a', flags: MS_BIND, data: '', idMap },
  ]);
  t.end();
});

t.test('planMount() refuses what it does not know', (t) => {
  for (const option of ['uidmap=0:1:2', 'gidmap=1', 'X-containerd.remap=1', 'rro', 'tmpcopyup'])
    t.throws(() => planMount({ type: 'ext4', options: [option] }), { code: CODE.invalidArgument }, option);
  t.end();
});

t.test('planMount() makes every call below the target, and no option of loop', (t) => {
  t.strictSame(planMount({ type: 'bind', source: '/a', target: '/etc', options: ['rbind', 'ro'] }), [
    { type: 'bind', source: '/a', flags: MS_BIND | MS_REC | MS_RDONLY, data: '', target: '/etc' },
    { type: 'bind', source: '/a', flags: MS_BIND | MS_REMOUNT | MS_RDONLY, data: '', target: '/etc' },
  ]);
  t.strictSame(planMount({ type: 'ext4', source: '/image', options: ['loop', 'ro', 'noload'] }), [
    { type: 'ext4', source: '/image', flags: MS_RDONLY, data: 'noload', isImage: true },
  ]);
  t.end();
});
