import t from 'tap';
import { MountTable, parseMountinfo } from '../../src/host/mountinfo.ts';

const line = (id: number, parent: number, mountPoint: string, type = 'tmpfs'): string =>
  `${id} ${parent} 0:${id} / ${mountPoint} rw,relatime shared:1 master:2 - ${type} source rw,size=4k`;
const table = (...lines: string[]) => new MountTable(parseMountinfo(lines.join('\n')));
const idAt = (mounts: MountTable, path: string) => mounts.find(path)?.id;

t.test('parseMountinfo() reads what is asked for, and passes over what makes no sense', (t) => {
  const text = '36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\nnonsense\n1 2 3\n';
  t.same(parseMountinfo(text), [
    {
      ...{ id: 36, parent: 35, root: '/mnt1', mountPoint: '/mnt 2', type: 'ext3' },
      ...{ propagation: ['master:1'], superOptions: ['rw', 'errors=continue'] },
    },
  ]);
  t.end();
});

t.test('MountTable finds the mount that a path lies on', (t) => {
  const mounts = table(line(1, 0, '/'), line(2, 1, '/srv'), line(3, 2, '/srv/data'));
  t.equal(idAt(mounts, '/'), 1);
  t.equal(idAt(mounts, '/srvx'), 1);
  t.equal(idAt(mounts, '/srv'), 2);
  t.equal(idAt(mounts, '/srv/data/x/y'), 3);
  t.end();
});

t.test('MountTable goes by the topmost of several mounts', (t) => {
  const mounts = table(
    ...[line(1, 0, '/'), line(2, 1, '/sys'), line(3, 2, '/sys/fs/cgroup'), line(4, 3, '/sys/fs/cgroup/pids')],
    ...[line(5, 3, '/sys/fs/cgroup', 'cgroup2'), line(6, 1, '/other')],
  );
  t.equal(idAt(mounts, '/sys/fs/cgroup'), 5);
  t.equal(idAt(mounts, '/sys/fs/cgroup/pids'), 5, 'what is below the covered one is out of sight');
  t.equal(idAt(mounts, '/sys/fs/other'), 2);
  const entries = parseMountinfo([line(1, 0, '/'), line(2, 1, '/a'), line(3, 2, '/a/b'), line(4, 2, '/a')].join('\n'));
  const shown = new MountTable(entries);
  t.same(
    entries.filter((entry) => shown.isVisible(entry)).map(({ id }) => id),
    [1, 4],
  );
  t.end();
});

t.test('MountTable knows of mounts that are mounted on the root later', (t) => {
  const mounts = table(line(1, 0, '/'), line(2, 1, '/a'), line(3, 1, '/'));
  t.equal(idAt(mounts, '/a'), 3);
  t.end();
});

t.test('MountTable works in a chroot, where the mount of the root is not listed', (t) => {
  const mounts = table(line(7, 6, '/proc', 'proc'), line(8, 6, '/a'), line(9, 8, '/a/b'));
  t.equal(idAt(mounts, '/a/b/c'), 9);
  t.equal(idAt(mounts, '/'), undefined);
  t.end();
});

t.test('MountTable ends on a text that goes in circles', (t) => {
  t.equal(idAt(table(line(1, 2, '/a'), line(2, 1, '/a')), '/a'), undefined);
  t.equal(idAt(table(line(1, 1, '/a'), line(2, 1, '/a')), '/a'), 2);
  t.end();
});
