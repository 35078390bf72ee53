import t from 'tap';
import { expandParts } from '../../../src/program/series.ts';
import { planMounts, type MountsPlan } from '../../../src/plan/rootfs/mounts.ts';
import { planCgroup } from '../../../src/plan/cgroup/plan.ts';
import type { Mount } from '../../../src/spec/generated/config.ts';
import { makeContext, makeHost, printSteps, type ContextChanges } from '../fixtures.ts';

const cgroup = planCgroup({ config: {}, layout: makeHost().cgroup, id: 'c1', manager: 'cgroupfs' });

function plan(mounts: Mount[], changes: ContextChanges = {}): MountsPlan {
  const linux = { namespaces: [{ type: 'mount' as const }] };
  const bundle = { sources: { '/src': 'directory' as const } };
  return planMounts(makeContext({ ...changes, config: { mounts, linux }, bundle }), cgroup, new Map());
}

const stepsOf = ({ stages }: MountsPlan) => expandParts(stages.flatMap(({ steps }) => steps));
const mountsOf = (result: MountsPlan) =>
  stepsOf(result).flatMap((step) => (step.kind === 'call' && step.call === 'mount' ? [step.operands] : []));

t.test('planMounts() is empty without mounts', (t) => {
  t.same(plan([]), { stages: [], last: [] });
  t.end();
});

t.test('planMounts() mounts in the order of the config', (t) => {
  const { stages } = plan([
    { destination: '/b', type: 'mqueue', source: 'mqueue' },
    { destination: '/a', source: '/src', options: ['bind'] },
    { destination: '/c', type: 'cgroup', source: 'cgroup' },
    { destination: '/d', type: 'tmpfs', source: 'tmpfs' },
  ]);
  const pointers = stages.flatMap(({ steps }) =>
    expandParts(steps).map(({ pointer }) => Number(/^\/mounts\/(\d)/.exec(pointer ?? '')?.[1] ?? -1)),
  );
  const known = pointers.filter((index) => index >= 0);
  t.same(
    known,
    known.toSorted((a, b) => a - b),
  );
  t.same([...new Set(known)], [0, 1, 2, 3]);
  t.same([...new Set(stages.map(({ exchange }) => exchange))], ['none']);
  t.end();
});

t.test('CVE-2019-19921: planMounts() mounts proc and sysfs on a real directory', (t) => {
  t.equal(
    printSteps(
      stepsOf(plan([{ destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'hidepid=2'] }])),
    ),
    `
   0  openat2(root, "proc", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}, 24) = target, accepts ENOENT ELOOP  # open "/proc"  (/mounts/0/destination)
   1  if target == -ELOOP fail ELOOP  # open "/proc"  (/mounts/0/destination)
   2  if not (target < 0) skip 2  # make "/proc" unless it is there
   3    mkdirat(root, "proc", 0755), accepts EEXIST  # create directory "/proc"  (/mounts/0/destination)
   4    openat2(root, "proc", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}, 24) = target  # open "/proc"  (/mounts/0/destination)
   5  fchdir(target)  # enter "/proc"  (/mounts/0)
   6  mount("proc", ".", "proc", MS_NOSUID, "hidepid=2")  # mount "proc" on "/proc"  (/mounts/0)
   7  close(target), accepts any errno  # close target
`,
  );
  const resolve = (type: string) =>
    stepsOf(plan([{ destination: '/x', type, source: type }])).flatMap((step) =>
      step.kind === 'call' &&
      step.call === 'openat2' &&
      typeof step.operands[2] === 'object' &&
      step.operands[2].kind === 'block'
        ? [step.operands[2].text.includes('RESOLVE_NO_SYMLINKS')]
        : [],
    );
  t.same(resolve('sysfs'), [true, true]);
  t.same(resolve('mqueue'), [false, false]);
  t.end();
});

t.test('planMounts() names the type as the source when there is none', (t) => {
  t.match(mountsOf(plan([{ destination: '/x', type: 'mqueue' }])), [['mqueue', '.', 'mqueue', 0, 0]]);
  t.end();
});

t.test('planMounts() sets recursive options and propagation through a handle of the finished mount', (t) => {
  t.equal(
    printSteps(
      stepsOf(plan([{ destination: '/s', type: 'sysfs', options: ['ro', 'rnosuid', 'rprivate', 'slave'] }])).slice(-6),
    ),
    `
   0  openat2(root, "s", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/s"  (/mounts/0)
   1  if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/s"  (/mounts/0)
   2  mount_setattr(target, "", AT_EMPTY_PATH|AT_RECURSIVE, {attr_set=MOUNT_ATTR_NOSUID}, 32)  # mount "sysfs" on "/s": set options  (/mounts/0/options)
   3  mount_setattr(target, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=MS_PRIVATE}, 32)  # mount "sysfs" on "/s": set propagation  (/mounts/0/options)
   4  mount_setattr(target, "", AT_EMPTY_PATH, {propagation=MS_SLAVE}, 32)  # mount "sysfs" on "/s": set propagation  (/mounts/0/options)
   5  close(target), accepts any errno  # close target
`,
  );
  t.end();
});

t.test('planMounts() gives a tmpfs the mode of the directory that was there', (t) => {
  t.equal(
    printSteps(stepsOf(plan([{ destination: '/t', type: 'tmpfs', source: 'tmpfs', options: ['size=1m'] }]))),
    `
   0  openat2(root, "t", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = existed, accepts ENOENT EAGAIN  # look for "/t"  (/mounts/0/destination)
   1  if existed == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # look for "/t"  (/mounts/0/destination)
   2  openat2(root, "t", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT EAGAIN  # open "/t"  (/mounts/0/destination)
   3  if not (target < 0) skip 3  # make "/t" unless it is there
   4    mkdirat(root, "t", 0755), accepts EEXIST  # create directory "/t"  (/mounts/0/destination)
   5    openat2(root, "t", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/t"  (/mounts/0/destination)
   6    if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/t"  (/mounts/0/destination)
   7  fstatfs(target, &stat)  # mount "tmpfs" on "/t": look at the destination  (/mounts/0/destination)
   8  if is a proc fail EPERM  # mount "tmpfs" on "/t"  (/mounts/0/destination)
   9  if existed < 0 skip 2  # skip 2 when existed < 0
  10    statx(existed, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/t"
  11    close(existed), accepts any errno  # close existed
  12  fchdir(target)  # enter "/t"  (/mounts/0)
  13  mount("tmpfs", ".", "tmpfs", 0, "size=1m")  # mount "tmpfs" on "/t"  (/mounts/0)
  14  close(target), accepts any errno  # close target
  15  openat2(root, "t", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/t"  (/mounts/0)
  16  if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/t"  (/mounts/0)
  17  if existed < 0 skip 2  # skip 2 when existed < 0
  18    fchdir(target)  # enter "/t"
  19    fchmodat(AT_FDCWD, ".", stat+28)  # give "/t" the mode it had  (/mounts/0)
  20  close(target), accepts any errno  # close target
`,
  );
  t.end();
});

t.test('planMounts() leaves the mode of a tmpfs to its options', (t) => {
  const steps = stepsOf(plan([{ destination: '/t', type: 'tmpfs', options: ['mode=755'] }]));
  t.notOk(steps.some((step) => step.kind === 'call' && (step.call === 'statx' || step.call === 'fchmodat')));
  t.end();
});

t.test('planMounts() makes a tmpfs read-only when everything is in it', (t) => {
  const result = plan([{ destination: '/t', type: 'tmpfs', options: ['ro', 'nosuid', 'mode=755'] }]);
  t.match(mountsOf(result), [['tmpfs', '.', 'tmpfs', 2, 'mode=755']]);
  t.equal(
    printSteps(result.last),
    `
   0  openat2(root, "t", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/t"  (/mounts/0)
   1  if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/t"  (/mounts/0)
   2  mount_setattr(target, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NOSUID|MOUNT_ATTR_RDONLY}, 32)  # make "/t" read-only  (/mounts/0/options)
   3  close(target), accepts any errno  # close target
`,
  );
  t.end();
});

/** Whether the kernel takes the attributes: a part of the access time is set only where all of it is cleared. */
function acceptsAccessTime({ last }: MountsPlan): boolean {
  return last.every((step) => {
    const attr = step.kind === 'call' && step.call === 'mount_setattr' ? step.operands[3] : undefined;
    if (typeof attr !== 'object' || attr.kind !== 'block') return true;
    const [set = 0n, clear = 0n] = new BigUint64Array(attr.bytes.slice().buffer);
    return (set & 0x70n) === 0n || (clear & 0x70n) === 0x70n;
  });
}

t.test('planMounts() makes a tmpfs with an access time option read-only as mount_setattr wants it', (t) => {
  for (const option of ['noatime', 'strictatime', 'relatime'])
    t.ok(acceptsAccessTime(plan([{ destination: '/t', type: 'tmpfs', options: ['ro', option] }])), option);
  t.end();
});

t.test('planMounts() has the content of the directory copied into a tmpfs', (t) => {
  const { stages } = plan([{ destination: '/t', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup', 'rprivate'] }]);
  t.same(
    stages.map(({ exchange }) => exchange),
    ['copy-up', 'none'],
  );
  t.equal(
    printSteps(expandParts(stages[0]?.steps ?? [])),
    `
   0  openat2(root, "t", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = existed, accepts ENOENT EAGAIN  # look for "/t"  (/mounts/0/destination)
   1  if existed == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # look for "/t"  (/mounts/0/destination)
   2  openat2(root, "t", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT EAGAIN  # open "/t"  (/mounts/0/destination)
   3  if not (target < 0) skip 3  # make "/t" unless it is there
   4    mkdirat(root, "t", 0755), accepts EEXIST  # create directory "/t"  (/mounts/0/destination)
   5    openat2(root, "t", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/t"  (/mounts/0/destination)
   6    if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/t"  (/mounts/0/destination)
   7  fstatfs(target, &stat)  # mount "tmpfs" on "/t": look at the destination  (/mounts/0/destination)
   8  if is a proc fail EPERM  # mount "tmpfs" on "/t"  (/mounts/0/destination)
   9  if existed < 0 skip 2  # skip 2 when existed < 0
  10    statx(existed, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/t"
  11    close(existed), accepts any errno  # close existed
  12  openat2(root, "t", {flags=O_RDONLY|O_CLOEXEC|O_DIRECTORY, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = lower, accepts EAGAIN  # open "/t" below the tmpfs  (/mounts/0)
  13  if lower == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/t" below the tmpfs  (/mounts/0)
  14  fchdir(target)  # enter "/t"  (/mounts/0)
  15  mount("tmpfs", ".", "tmpfs", 0, NULL)  # mount "tmpfs" on "/t"  (/mounts/0)
  16  close(target), accepts any errno  # close target
  17  openat2(root, "t", {flags=O_RDONLY|O_CLOEXEC|O_DIRECTORY, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = upper, accepts EAGAIN  # open "/t"  (/mounts/0)
  18  if upper == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/t"  (/mounts/0)
  19  dup3(upper, 5, O_CLOEXEC)  # number upper 5
  20  dup3(lower, 6, O_CLOEXEC)  # number lower 6
  21  sendmsg(3, {tag 19, {SCM_RIGHTS, [5, 6]}}, 0)  # have "/t" copied up
  22  close(upper), accepts any errno  # close upper
  23  close(lower), accepts any errno  # close lower
`,
  );
  t.equal(
    printSteps(expandParts(stages[1]?.steps ?? [])),
    `
   0  dup3(3, 5, O_CLOEXEC)  # keep number 5
   1  dup3(3, 6, O_CLOEXEC)  # keep number 6
   2  openat2(root, "t", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/t"  (/mounts/0)
   3  if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/t"  (/mounts/0)
   4  if existed < 0 skip 2  # skip 2 when existed < 0
   5    fchdir(target)  # enter "/t"
   6    fchmodat(AT_FDCWD, ".", stat+28)  # give "/t" the mode it had  (/mounts/0)
   7  mount_setattr(target, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=MS_PRIVATE}, 32)  # mount "tmpfs" on "/t": set propagation  (/mounts/0/options)
   8  close(target), accepts any errno  # close target
`,
  );
  t.end();
});

t.test('planMounts() remounts where mount_setattr is missing', (t) => {
  const host = { kernel: { version: [5, 10] as const, mountSetattr: false } };
  const result = plan([{ destination: '/t', type: 'tmpfs', options: ['ro', 'nosuid', 'noatime', 'slave'] }], { host });
  t.notOk([...stepsOf(result), ...result.last].some((step) => step.kind === 'call' && step.call === 'mount_setattr'));
  // A remount for each combination of `nodev` and `noexec` to keep; `nosuid` is asked for in any case.
  const asked = 0x1000 | 0x20 | 1 | 2 | 0x400;
  t.same(
    result.last.flatMap((step) => (step.kind === 'call' && step.call === 'mount' ? [step.operands] : [])),
    [0, 4, 8, 4 | 8].map((kept) => [0, '.', 0, asked | kept, 0]),
  );
  t.throws(() => plan([{ destination: '/s', type: 'sysfs', options: ['rro'] }], { host }), { code: 'unsupported' });
  t.end();
});

t.test('planMounts() gives the options of a cgroup mount to cgroup2, or warns that they have no effect', (t) => {
  const mounts: Mount[] = [{ destination: '/sys/fs/cgroup', type: 'cgroup', options: ['ro', 'nsdelegate', 'x=y'] }];
  const namespaces = [{ type: 'mount' as const }, { type: 'cgroup' as const }];
  const own = planMounts(makeContext({ config: { mounts, linux: { namespaces } } }), cgroup, new Map());
  t.match(mountsOf(own)[0], ['cgroup', '.', 'cgroup2', 0xf, 'nsdelegate,x=y']);
  const context = makeContext({ config: { mounts } });
  planMounts(context, cgroup, new Map());
  t.match(context.warnings, [/"nsdelegate","x=y".*have no effect: without a cgroup namespace/]);
  t.end();
});

t.test('planMounts() says that proc and sysfs want an ordinary directory', (t) => {
  for (const type of ['proc', 'sysfs']) {
    const text = `mount "${type}" on "/x": filesystem "${type}" must be mounted on ordinary directory`;
    const failures = stepsOf(plan([{ destination: '/x', type }])).flatMap(({ failure = '' }) => failure || []);
    t.same(failures, [text, `${text}: {errno}`], 'for a symlink, and for a file');
  }
  t.end();
});

t.test('planMounts() has the host stand in for a sysfs that the kernel refuses', (t) => {
  const mounts: Mount[] = [{ destination: '/sys', type: 'sysfs', options: ['ro'] }];
  const namespaces = [{ type: 'mount' as const }, { type: 'user' as const }];
  const steps = stepsOf(planMounts(makeContext({ config: { mounts, linux: { namespaces } } }), cgroup, new Map()));
  const mount = steps.find((step) => step.kind === 'call' && step.call === 'mount');
  t.match(mount, { accept: ['EPERM'], result: { name: 'answer' } });
  t.ok(steps.some((step) => step.kind === 'call' && step.call === 'open_tree' && step.operands[1] === '/sys'));
  t.end();
});

t.test('planMounts() refuses a cgroup mount on a machine without cgroups', (t) => {
  const none = { mode: 'none' as const, hierarchies: [] };
  const nothing = planCgroup({ config: {}, layout: none, id: 'c1', manager: 'disabled' });
  const mounts: Mount[] = [{ destination: '/sys/fs/cgroup', type: 'cgroup' }];
  const context = makeContext({ config: { mounts }, host: { cgroup: none } });
  t.throws(() => planMounts(context, nothing, new Map()), {
    code: 'unsupported',
    message: 'mount "cgroup" on "/sys/fs/cgroup": no cgroup hierarchy is mounted on this machine',
  });
  t.end();
});
