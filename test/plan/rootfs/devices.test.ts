import t from 'tap';
import type { PlanContext } from '../../../src/plan/base/context.ts';
import * as planner from '../../../src/plan/rootfs/devices.ts';
import { call } from '../../../src/program/build.ts';
import { expandParts, programOf } from '../../../src/program/series.ts';
import type { Config, Device } from '../../../src/spec/generated/config.ts';
import { differences } from '../../program/series-bytes.ts';
import { makeContext, printSteps, type ContextChanges } from '../fixtures.ts';

const planDevices = (context: PlanContext) => expandParts(planner.planDevices(context));

/** The default devices, as listed by a config, so that only the last of its devices is of interest. */
function only(device: Device): Partial<Config> {
  const defaults = ['null', 'zero', 'full', 'random', 'urandom', 'tty'].map((name) => ({
    type: 'p' as const,
    path: `/dev/${name}`,
  }));
  return { linux: { devices: [...defaults, device] } };
}

/** The steps between the default devices and the links. */
function planOne(device: Device, changes: ContextChanges = {}) {
  const steps = planDevices(makeContext({ ...changes, config: { ...changes.config, ...only(device) } }));
  const first = steps.findIndex(({ pointer }) => pointer === '/linux/devices/6');
  const last = steps.findLastIndex(({ label }) => label === 'remove "/dev/ptmx"');
  return steps.slice(first, last);
}

const fuse: Device = { type: 'c', path: '/dev/fuse', major: 10, minor: 229, fileMode: 0o600 };

t.test('planDevices() makes the default devices and links below the handle of /dev', (t) => {
  t.equal(
    printSteps(planDevices(makeContext({ host: { kernel: { hasKcore: true } } }))),
    `
   0  openat2(root, "dev", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}, 24) = dev, accepts ENOENT  # open "/dev"
   1  if not (dev < 0) skip 2  # make "/dev" unless it is there
   2    mkdirat(root, "dev", 0755), accepts EEXIST  # create directory "/dev"
   3    openat2(root, "dev", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}, 24) = dev  # open "/dev"
   4  mknodat(dev, "null", S_IFCHR|0666, makedev(1, 3)) = made, accepts EEXIST EPERM  # create device "/dev/null"
   5  if not (made == -EEXIST) skip 5  # verify "/dev/null" when it was there
   6    openat(dev, "null", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/null"
   7    statx(source, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/dev/null"
   8    if not (is a character device) fail EEXIST  # create device "/dev/null": another file is there, wanted a character device 1:3
   9    if not (is device 1:3) fail EEXIST  # create device "/dev/null": another file is there, wanted a character device 1:3
  10    close(source), accepts any errno  # close source
  11  if not (made == -EPERM) skip 10  # bind "/dev/null" when it cannot be created
  12    open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/null" of the host
  13    statx(tree, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at device "/dev/null" of the host
  14    if not (is a character device) fail EEXIST  # bind device "/dev/null" of the host: it is another device, wanted a character device 1:3
  15    if not (is device 1:3) fail EEXIST  # bind device "/dev/null" of the host: it is another device, wanted a character device 1:3
  16    mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID}, 32)  # bind device "/dev/null" of the host: set options
  17    mknodat(dev, "null", S_IFREG|0644, 0), accepts EEXIST  # create file "/dev/null"
  18    openat(dev, "null", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/null"
  19    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/null" of the host
  20    close(source), accepts any errno  # close source
  21    close(tree), accepts any errno  # close tree
  22  mknodat(dev, "zero", S_IFCHR|0666, makedev(1, 5)) = made, accepts EEXIST EPERM  # create device "/dev/zero"
  23  if not (made == -EEXIST) skip 5  # verify "/dev/zero" when it was there
  24    openat(dev, "zero", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/zero"
  25    statx(source, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/dev/zero"
  26    if not (is a character device) fail EEXIST  # create device "/dev/zero": another file is there, wanted a character device 1:5
  27    if not (is device 1:5) fail EEXIST  # create device "/dev/zero": another file is there, wanted a character device 1:5
  28    close(source), accepts any errno  # close source
  29  if not (made == -EPERM) skip 10  # bind "/dev/zero" when it cannot be created
  30    open_tree(AT_FDCWD, "/dev/zero", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/zero" of the host
  31    statx(tree, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at device "/dev/zero" of the host
  32    if not (is a character device) fail EEXIST  # bind device "/dev/zero" of the host: it is another device, wanted a character device 1:5
  33    if not (is device 1:5) fail EEXIST  # bind device "/dev/zero" of the host: it is another device, wanted a character device 1:5
  34    mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID}, 32)  # bind device "/dev/zero" of the host: set options
  35    mknodat(dev, "zero", S_IFREG|0644, 0), accepts EEXIST  # create file "/dev/zero"
  36    openat(dev, "zero", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/zero"
  37    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/zero" of the host
  38    close(source), accepts any errno  # close source
  39    close(tree), accepts any errno  # close tree
  40  mknodat(dev, "full", S_IFCHR|0666, makedev(1, 7)) = made, accepts EEXIST EPERM  # create device "/dev/full"
  41  if not (made == -EEXIST) skip 5  # verify "/dev/full" when it was there
  42    openat(dev, "full", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/full"
  43    statx(source, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/dev/full"
  44    if not (is a character device) fail EEXIST  # create device "/dev/full": another file is there, wanted a character device 1:7
  45    if not (is device 1:7) fail EEXIST  # create device "/dev/full": another file is there, wanted a character device 1:7
  46    close(source), accepts any errno  # close source
  47  if not (made == -EPERM) skip 10  # bind "/dev/full" when it cannot be created
  48    open_tree(AT_FDCWD, "/dev/full", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/full" of the host
  49    statx(tree, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at device "/dev/full" of the host
  50    if not (is a character device) fail EEXIST  # bind device "/dev/full" of the host: it is another device, wanted a character device 1:7
  51    if not (is device 1:7) fail EEXIST  # bind device "/dev/full" of the host: it is another device, wanted a character device 1:7
  52    mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID}, 32)  # bind device "/dev/full" of the host: set options
  53    mknodat(dev, "full", S_IFREG|0644, 0), accepts EEXIST  # create file "/dev/full"
  54    openat(dev, "full", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/full"
  55    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/full" of the host
  56    close(source), accepts any errno  # close source
  57    close(tree), accepts any errno  # close tree
  58  mknodat(dev, "random", S_IFCHR|0666, makedev(1, 8)) = made, accepts EEXIST EPERM  # create device "/dev/random"
  59  if not (made == -EEXIST) skip 5  # verify "/dev/random" when it was there
  60    openat(dev, "random", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/random"
  61    statx(source, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/dev/random"
  62    if not (is a character device) fail EEXIST  # create device "/dev/random": another file is there, wanted a character device 1:8
  63    if not (is device 1:8) fail EEXIST  # create device "/dev/random": another file is there, wanted a character device 1:8
  64    close(source), accepts any errno  # close source
  65  if not (made == -EPERM) skip 10  # bind "/dev/random" when it cannot be created
  66    open_tree(AT_FDCWD, "/dev/random", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/random" of the host
  67    statx(tree, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at device "/dev/random" of the host
  68    if not (is a character device) fail EEXIST  # bind device "/dev/random" of the host: it is another device, wanted a character device 1:8
  69    if not (is device 1:8) fail EEXIST  # bind device "/dev/random" of the host: it is another device, wanted a character device 1:8
  70    mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID}, 32)  # bind device "/dev/random" of the host: set options
  71    mknodat(dev, "random", S_IFREG|0644, 0), accepts EEXIST  # create file "/dev/random"
  72    openat(dev, "random", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/random"
  73    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/random" of the host
  74    close(source), accepts any errno  # close source
  75    close(tree), accepts any errno  # close tree
  76  mknodat(dev, "urandom", S_IFCHR|0666, makedev(1, 9)) = made, accepts EEXIST EPERM  # create device "/dev/urandom"
  77  if not (made == -EEXIST) skip 5  # verify "/dev/urandom" when it was there
  78    openat(dev, "urandom", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/urandom"
  79    statx(source, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/dev/urandom"
  80    if not (is a character device) fail EEXIST  # create device "/dev/urandom": another file is there, wanted a character device 1:9
  81    if not (is device 1:9) fail EEXIST  # create device "/dev/urandom": another file is there, wanted a character device 1:9
  82    close(source), accepts any errno  # close source
  83  if not (made == -EPERM) skip 10  # bind "/dev/urandom" when it cannot be created
  84    open_tree(AT_FDCWD, "/dev/urandom", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/urandom" of the host
  85    statx(tree, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at device "/dev/urandom" of the host
  86    if not (is a character device) fail EEXIST  # bind device "/dev/urandom" of the host: it is another device, wanted a character device 1:9
  87    if not (is device 1:9) fail EEXIST  # bind device "/dev/urandom" of the host: it is another device, wanted a character device 1:9
  88    mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID}, 32)  # bind device "/dev/urandom" of the host: set options
  89    mknodat(dev, "urandom", S_IFREG|0644, 0), accepts EEXIST  # create file "/dev/urandom"
  90    openat(dev, "urandom", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/urandom"
  91    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/urandom" of the host
  92    close(source), accepts any errno  # close source
  93    close(tree), accepts any errno  # close tree
  94  mknodat(dev, "tty", S_IFCHR|0666, makedev(5, 0)) = made, accepts EEXIST EPERM  # create device "/dev/tty"
  95  if not (made == -EEXIST) skip 5  # verify "/dev/tty" when it was there
  96    openat(dev, "tty", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/tty"
  97    statx(source, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/dev/tty"
  98    if not (is a character device) fail EEXIST  # create device "/dev/tty": another file is there, wanted a character device 5:0
  99    if not (is device 5:0) fail EEXIST  # create device "/dev/tty": another file is there, wanted a character device 5:0
 100    close(source), accepts any errno  # close source
 101  if not (made == -EPERM) skip 10  # bind "/dev/tty" when it cannot be created
 102    open_tree(AT_FDCWD, "/dev/tty", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/tty" of the host
 103    statx(tree, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at device "/dev/tty" of the host
 104    if not (is a character device) fail EEXIST  # bind device "/dev/tty" of the host: it is another device, wanted a character device 5:0
 105    if not (is device 5:0) fail EEXIST  # bind device "/dev/tty" of the host: it is another device, wanted a character device 5:0
 106    mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID}, 32)  # bind device "/dev/tty" of the host: set options
 107    mknodat(dev, "tty", S_IFREG|0644, 0), accepts EEXIST  # create file "/dev/tty"
 108    openat(dev, "tty", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/tty"
 109    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/tty" of the host
 110    close(source), accepts any errno  # close source
 111    close(tree), accepts any errno  # close tree
 112  unlinkat(dev, "ptmx", 0), accepts ENOENT EBUSY  # remove "/dev/ptmx"
 113  symlinkat("pts/ptmx", dev, "ptmx"), accepts EEXIST  # link "/dev/ptmx" to "pts/ptmx"
 114  symlinkat("/proc/self/fd", dev, "fd"), accepts EEXIST  # link "/dev/fd" to "/proc/self/fd"
 115  symlinkat("/proc/self/fd/0", dev, "stdin"), accepts EEXIST  # link "/dev/stdin" to "/proc/self/fd/0"
 116  symlinkat("/proc/self/fd/1", dev, "stdout"), accepts EEXIST  # link "/dev/stdout" to "/proc/self/fd/1"
 117  symlinkat("/proc/self/fd/2", dev, "stderr"), accepts EEXIST  # link "/dev/stderr" to "/proc/self/fd/2"
 118  symlinkat("/proc/kcore", dev, "core"), accepts EEXIST  # link "/dev/core" to "/proc/kcore"
 119  close(dev), accepts any errno  # close dev
`,
  );
  t.end();
});

t.test('planDevices() links /dev/core only when it is told to', (t) => {
  const labels = (hasKcore: boolean) =>
    planDevices(makeContext({ host: { kernel: { hasKcore } } })).map(({ label }) => label);
  t.ok(labels(true).includes('link "/dev/core" to "/proc/kcore"'));
  t.notOk(labels(false).includes('link "/dev/core" to "/proc/kcore"'));
  t.end();
});

t.test('planDevices() leaves a bind-mounted /dev alone', (t) => {
  const bound = [{ destination: '/dev/', source: '/dev', options: ['rbind'] }];
  t.same(planDevices(makeContext({ config: { mounts: bound } })), []);
  const tmpfs = [{ destination: '/dev', type: 'tmpfs', source: 'tmpfs' }];
  t.not(planDevices(makeContext({ config: { mounts: tmpfs } })).length, 0);
  t.end();
});

t.test('CVE-2026-41579: planDevices() follows no symlink at /dev', (t) => {
  const [first] = planDevices(makeContext());
  t.match(first, {
    operands: [
      {},
      'dev',
      { text: '{flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}' },
    ],
  });
  t.end();
});

t.test('planDevices() changes the owner of what it created', (t) => {
  t.equal(
    printSteps(planOne({ ...fuse, uid: 7, gid: 8 })),
    `
   0  mknodat(dev, "fuse", S_IFCHR|0600, makedev(10, 229)) = made, accepts EEXIST EPERM  # create device "/dev/fuse"  (/linux/devices/6)
   1  if not (made == -EEXIST) skip 5  # verify "/dev/fuse" when it was there
   2    openat(dev, "fuse", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/fuse"  (/linux/devices/6)
   3    statx(source, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/dev/fuse"
   4    if not (is a character device) fail EEXIST  # create device "/dev/fuse": another file is there, wanted a character device 10:229  (/linux/devices/6)
   5    if not (is device 10:229) fail EEXIST  # create device "/dev/fuse": another file is there, wanted a character device 10:229  (/linux/devices/6)
   6    close(source), accepts any errno  # close source
   7  if not (made == -EPERM) skip 10  # bind "/dev/fuse" when it cannot be created
   8    open_tree(AT_FDCWD, "/dev/fuse", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/fuse" of the host  (/linux/devices/6)
   9    statx(tree, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at device "/dev/fuse" of the host
  10    if not (is a character device) fail EEXIST  # bind device "/dev/fuse" of the host: it is another device, wanted a character device 10:229  (/linux/devices/6)
  11    if not (is device 10:229) fail EEXIST  # bind device "/dev/fuse" of the host: it is another device, wanted a character device 10:229  (/linux/devices/6)
  12    mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID}, 32)  # bind device "/dev/fuse" of the host: set options  (/linux/devices/6)
  13    mknodat(dev, "fuse", S_IFREG|0644, 0), accepts EEXIST  # create file "/dev/fuse"  (/linux/devices/6)
  14    openat(dev, "fuse", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/fuse"  (/linux/devices/6)
  15    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/fuse" of the host  (/linux/devices/6)
  16    close(source), accepts any errno  # close source
  17    close(tree), accepts any errno  # close tree
  18  if not (made == 0) skip 6  # leave the owner of "/dev/fuse" unless it was created
  19    openat(dev, "fuse", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/fuse"  (/linux/devices/6)
  20    statx(source, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/dev/fuse"
  21    if not (is a character device) fail EEXIST  # change owner of device "/dev/fuse": it was replaced, wanted a character device 10:229  (/linux/devices/6)
  22    if not (is device 10:229) fail EEXIST  # change owner of device "/dev/fuse": it was replaced, wanted a character device 10:229  (/linux/devices/6)
  23    fchownat(source, "", 7, 8, AT_EMPTY_PATH)  # change owner of device "/dev/fuse" to 7:8  (/linux/devices/6)
  24    close(source), accepts any errno  # close source
`,
  );
  t.end();
});

t.test('planDevices() makes the directories of a device', (t) => {
  t.equal(
    printSteps(planOne({ type: 'b', path: '/srv/disk', major: 259, minor: 300 })),
    `
   0  openat2(root, "srv", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT EAGAIN  # open "/srv"  (/linux/devices/6)
   1  if not (target < 0) skip 3  # make "/srv" unless it is there
   2    mkdirat(root, "srv", 0755), accepts EEXIST  # create directory "/srv"  (/linux/devices/6)
   3    openat2(root, "srv", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/srv"  (/linux/devices/6)
   4    if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/srv"  (/linux/devices/6)
   5  mknodat(target, "disk", S_IFBLK|0666, makedev(259, 300)) = made, accepts EEXIST EPERM  # create device "/srv/disk"  (/linux/devices/6)
   6  if not (made == -EEXIST) skip 5  # verify "/srv/disk" when it was there
   7    openat(target, "disk", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/srv/disk"  (/linux/devices/6)
   8    statx(source, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/srv/disk"
   9    if not (is a block device) fail EEXIST  # create device "/srv/disk": another file is there, wanted a block device 259:300  (/linux/devices/6)
  10    if not (is device 259:300) fail EEXIST  # create device "/srv/disk": another file is there, wanted a block device 259:300  (/linux/devices/6)
  11    close(source), accepts any errno  # close source
  12  if not (made == -EPERM) skip 10  # bind "/srv/disk" when it cannot be created
  13    open_tree(AT_FDCWD, "/srv/disk", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/srv/disk" of the host  (/linux/devices/6)
  14    statx(tree, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at device "/srv/disk" of the host
  15    if not (is a block device) fail EEXIST  # bind device "/srv/disk" of the host: it is another device, wanted a block device 259:300  (/linux/devices/6)
  16    if not (is device 259:300) fail EEXIST  # bind device "/srv/disk" of the host: it is another device, wanted a block device 259:300  (/linux/devices/6)
  17    mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID}, 32)  # bind device "/srv/disk" of the host: set options  (/linux/devices/6)
  18    mknodat(target, "disk", S_IFREG|0644, 0), accepts EEXIST  # create file "/srv/disk"  (/linux/devices/6)
  19    openat(target, "disk", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/srv/disk"  (/linux/devices/6)
  20    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/srv/disk" of the host  (/linux/devices/6)
  21    close(source), accepts any errno  # close source
  22    close(tree), accepts any errno  # close tree
  23  close(target), accepts any errno  # close target
`,
  );
  t.end();
});

t.test('planDevices() binds the device of the host in a user namespace', (t) => {
  const rootless = { host: { identity: { inUserNamespace: true } } };
  t.equal(
    printSteps(planOne(fuse, rootless)),
    `
   0  open_tree(AT_FDCWD, "/dev/fuse", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/fuse" of the host  (/linux/devices/6)
   1  statx(tree, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at device "/dev/fuse" of the host
   2  if not (is a character device) fail EEXIST  # bind device "/dev/fuse" of the host: it is another device, wanted a character device 10:229  (/linux/devices/6)
   3  if not (is device 10:229) fail EEXIST  # bind device "/dev/fuse" of the host: it is another device, wanted a character device 10:229  (/linux/devices/6)
   4  mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID}, 32)  # bind device "/dev/fuse" of the host: set options  (/linux/devices/6)
   5  mknodat(dev, "fuse", S_IFREG|0644, 0), accepts EEXIST  # create file "/dev/fuse"  (/linux/devices/6)
   6  openat(dev, "fuse", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/fuse"  (/linux/devices/6)
   7  move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/fuse" of the host  (/linux/devices/6)
   8  close(source), accepts any errno  # close source
   9  close(tree), accepts any errno  # close tree
`,
  );
  const context = makeContext({ config: { linux: { namespaces: [{ type: 'user' }], devices: [fuse] } } });
  t.notOk(planDevices(context).some(({ label }) => label.startsWith('create device')));
  t.end();
});

t.test('planDevices() binds what the host has by type and numbers in a user namespace, whatever its name', (t) => {
  const linux = { namespaces: [{ type: 'user' as const }], devices: [{ ...fuse, path: '/dev/own' }] };
  const devices = { 'c 10:229': { path: '/dev/fuse', mode: 0o600 } };
  const context = makeContext({ config: { linux }, bundle: { devices } });
  const opened = planDevices(context).flatMap((step) =>
    step.kind === 'call' && step.call === 'open_tree' ? [step.operands[1]] : [],
  );
  t.equal(opened.at(-1), '/dev/fuse');
  t.same(context.warnings, []);
  t.end();
});

t.test('planDevices() warns of a mode that a device of the host keeps', (t) => {
  const linux = { namespaces: [{ type: 'user' as const }], devices: [fuse] };
  const context = makeContext({
    config: { linux },
    bundle: { devices: { 'c 10:229': { path: '/dev/fuse', mode: 0o666 } } },
  });
  planDevices(context);
  t.same(context.warnings, [
    'device "/dev/fuse" is the host\'s in a user namespace: its mode stays 0666, not 0600 (/linux/devices/0/fileMode)',
  ]);
  t.end();
});

t.test('planDevices() creates FIFOs in a user namespace too', (t) => {
  const rootless = { host: { identity: { inUserNamespace: true } } };
  const [first] = planOne({ type: 'p', path: '/dev/fifo' }, rootless);
  t.match(first, { call: 'mknodat', operands: [{}, 'fifo', 0o010666, 0] });
  t.end();
});

t.test('planDevices() encodes device numbers as the kernel does', (t) => {
  const numberOf = (major: number, minor: number) => {
    const [first] = planOne({ type: 'c', path: '/dev/x', major, minor });
    return first?.kind === 'call' ? first.operands[3] : undefined;
  };
  t.equal(numberOf(1, 3), 0x103);
  t.equal(numberOf(4095, 1048575), 0xffff_ffff);
  t.equal(numberOf(259, 300), 0x11_032c);
  t.end();
});

t.test('planDevices() has series of many devices, which are the steps of each', (t) => {
  const owners = [{}, { uid: 0xffff_fffe, gid: 7 }];
  const devices = owners.flatMap((owner) =>
    (['c', 'b'] as const).flatMap((type) =>
      Array.from({ length: 130 }, (_, index): Device => {
        const path = `/dev/${type}${index}-${owner.gid ?? 0}`;
        return { type, path, major: index * 31, minor: index * 8191, fileMode: index, ...owner };
      }),
    ),
  );
  const inside: Device = { type: 'c', path: '/dev/sub/one', major: 1, minor: 3 };
  const linux = { devices: [...devices, inside, { type: 'p' as const, path: '/dev/fifo' }] };
  const bundle = { devices: { 'c 31:8191': { path: '/dev/other', mode: 0o600 } } };
  for (const namespaces of [[], [{ type: 'user' as const }]]) {
    const parts = planner.planDevices(makeContext({ config: { linux: { ...linux, namespaces } }, bundle }));
    const counts = parts.flatMap((part) => (part.kind === 'series' ? part.count : []));
    // The default devices are character devices of root.
    t.strictSame(counts, [136, 130, 130, 130]);
    const program = programOf({ name: '', replies: false }, [...parts, call('getpid', [], { label: 'end' })]);
    for (const arch of ['x86-64', 'arm64'] as const) t.strictSame(differences(program, arch), []);
  }
  t.end();
});
