import t from 'tap';
import { parseCgroupLayout, readCgroupLayout, writablePlaces } from '../../src/host/cgroup-layout.ts';

const CONTROLLERS = ['cpu', 'memory'];
const parse = (mountinfo: string, membership: string): ReturnType<typeof parseCgroupLayout> => {
  return parseCgroupLayout(mountinfo, membership, () => CONTROLLERS);
};

t.test('parseCgroupLayout() reads cgroup v2 alone', (t) => {
  const mountinfo =
    '29 23 0:25 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n';
  t.strictSame(parse(mountinfo, '0::/user.slice/a\n'), {
    mode: 'v2',
    hierarchies: [],
    unified: { mountPoint: '/sys/fs/cgroup', ownPath: '/user.slice/a', controllers: CONTROLLERS },
  });
  t.end();
});

t.test('parseCgroupLayout() reads v1 with controllers mounted together', (t) => {
  const mountinfo = [
    '31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755',
    '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:1 - cgroup cgroup rw,cpu,cpuacct',
    '33 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd',
  ].join('\n');
  t.strictSame(parse(mountinfo, '5:cpu,cpuacct:/x\n4:pids:/x\n1:name=systemd:/init.scope\n'), {
    mode: 'v1',
    hierarchies: [
      { controllers: ['cpu', 'cpuacct'], mountPoint: '/sys/fs/cgroup/cpu,cpuacct', ownPath: '/x' },
      { controllers: ['name=systemd'], mountPoint: '/sys/fs/cgroup/systemd', ownPath: '/init.scope' },
    ],
  });
  t.end();
});

t.test('parseCgroupLayout() does not mistake cpu for cpuset or cpuacct', (t) => {
  const mountinfo = '32 31 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset';
  t.strictSame(parse(mountinfo, '3:cpu:/\n'), { mode: 'none', hierarchies: [] });
  t.end();
});

t.test('parseCgroupLayout() calls v1 beside cgroup2 hybrid', (t) => {
  const mountinfo = '32 31 0:29 / /c/pids rw - cgroup cgroup rw,pids\n33 31 0:30 / /c/unified rw - cgroup2 none rw\n';
  t.match(parse(mountinfo, '1:pids:/a\n0::/b\n'), {
    mode: 'hybrid',
    unified: { mountPoint: '/c/unified', ownPath: '/b' },
  });
  t.end();
});

t.test('parseCgroupLayout() counts the own path from what the mount shows', (t) => {
  const own = (root: string, path: string): string | undefined => {
    return parse(`29 23 0:25 ${root} /sys/fs/cgroup rw - cgroup2 cgroup2 rw`, `0::${path}`).unified?.ownPath;
  };
  t.equal(own('/docker/abc', '/docker/abc'), '/');
  t.equal(own('/docker/abc', '/docker/abc/x'), '/x');
  t.equal(own('/docker/abc', '/docker/abcd'), '/', 'another cgroup with the same beginning');
  t.equal(own('/', '/../other'), '/', 'outside the cgroup namespace');
  t.equal(own('/a\\040b', '/a b/c'), '/c', 'octal escapes');
  t.end();
});

t.test('parseCgroupLayout() takes the usual place of several, and the upper of two mounts', (t) => {
  const line = (mountPoint: string, root = '/'): string => `29 23 0:25 ${root} ${mountPoint} rw - cgroup2 cgroup2 rw`;
  const chosen = (...lines: string[]): string | undefined => parse(lines.join('\n'), '0::/a').unified?.mountPoint;
  t.equal(chosen(line('/mnt/x'), line('/sys/fs/cgroup'), line('/mnt/y')), '/sys/fs/cgroup');
  t.equal(chosen(line('/sys/fs/cgroup', '/b'), line('/mnt/x')), '/mnt/x', 'one that shows the own cgroup is better');
  t.equal(chosen(line('/mnt/a\\040b')), '/mnt/a b');
  t.equal(
    parse([line('/c', '/a'), line('/c')].join('\n'), '0::/a').unified?.ownPath,
    '/a',
    'the later hides the earlier',
  );
  t.end();
});

t.test('parseCgroupLayout() passes over what another mount hides', (t) => {
  const mountinfo = [
    '31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755',
    '32 31 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids',
    '33 31 0:30 / /sys/fs/cgroup/unified rw - cgroup2 none rw',
    '34 31 0:30 / /sys/fs/cgroup rw - cgroup2 none rw',
  ].join('\n');
  t.strictSame(parse(mountinfo, '1:pids:/a\n0::/b\n'), {
    mode: 'v2',
    hierarchies: [],
    unified: { mountPoint: '/sys/fs/cgroup', ownPath: '/b', controllers: CONTROLLERS },
  });
  const covered = mountinfo.replace(/34 .*/, '34 32 0:31 / /sys/fs/cgroup/pids rw - tmpfs tmpfs rw');
  t.match(parse(covered, '1:pids:/a\n0::/b\n'), { mode: 'v2', unified: { mountPoint: '/sys/fs/cgroup/unified' } });
  t.end();
});

t.test('parseCgroupLayout() passes over what CRIU mounts for a moment', (t) => {
  const mountinfo = '40 23 0:40 / /var/image/.criu.cgyard.dg2Fsr/net_cls rw - cgroup none rw,net_cls';
  t.strictSame(parse(mountinfo, '3:net_cls:/\n'), { mode: 'none', hierarchies: [] });
  t.end();
});

t.test('parseCgroupLayout() passes over lines that it cannot read', (t) => {
  t.strictSame(parse('nonsense\n\n1 2 3\n', 'nonsense\n'), { mode: 'none', hierarchies: [] });
  t.end();
});

t.test('readCgroupLayout() reads this machine, and says when there is no procfs', (t) => {
  t.match(readCgroupLayout('/proc/self').mode, /^(v1|v2|hybrid|none)$/);
  t.throws(() => readCgroupLayout(t.testdir({})), { code: 'host' });
  t.end();
});

t.test('writablePlaces() are those in which this process may make directories', (t) => {
  const mine = t.testdir({ own: {} });
  t.strictSame(writablePlaces([`${mine}/own`, `${mine}/none`, '/none']), [`${mine}/own`]);
  t.end();
});
