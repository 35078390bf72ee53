import t from 'tap';
import { planDevices } from '../../src/plan/devices.ts';
import type { Config, Device } from '../../src/spec/generated/config.ts';
import { makeContext, printSteps, type ContextChanges } from './fixtures.ts';

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
    printSteps(planDevices(makeContext(), { hasKcore: true })),
    `
   0  openat2(root, "dev", {flags=O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}, 24) = target, accepts ENOENT  # open "/dev"
   1  if not (target < 0) skip 2  # make "/dev" unless it is there
   2    mkdirat(root, "dev", 0755), accepts EEXIST  # create directory "/dev"
   3    openat2(root, "dev", {flags=O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}, 24) = target  # open "/dev"
   4  fcntl(target, 1030, 0) = dev  # keep "/dev"
   5  close(target), accepts any errno  # close target
   6  mknodat(dev, "null", 020666, 259) = made, accepts EEXIST EPERM  # create device "/dev/null"
   7  if not (made == -EEXIST) skip 5  # verify "/dev/null" when it was there
   8    openat(dev, "null", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/null"
   9    statx(source, "", AT_EMPTY_PATH, 2047, &stat)  # look at "/dev/null"
  10    if not (is a character device) fail EEXIST  # create device "/dev/null": another file is there, wanted a character device 1:3
  11    if not (is device 1:3) fail EEXIST  # create device "/dev/null": another file is there, wanted a character device 1:3
  12    close(source), accepts any errno  # close source
  13  if not (made == -EPERM) skip 9  # bind "/dev/null" when it cannot be created
  14    open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/null" of the host
  15    statx(tree, "", AT_EMPTY_PATH, 2047, &stat)  # look at device "/dev/null" of the host
  16    if not (is a character device) fail EEXIST  # bind device "/dev/null" of the host: it is another device, wanted a character device 1:3
  17    if not (is device 1:3) fail EEXIST  # bind device "/dev/null" of the host: it is another device, wanted a character device 1:3
  18    mknodat(dev, "null", 0100644, 0), accepts EEXIST  # create file "/dev/null"
  19    openat(dev, "null", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/null"
  20    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/null" of the host
  21    close(source), accepts any errno  # close source
  22    close(tree), accepts any errno  # close tree
  23  mknodat(dev, "zero", 020666, 261) = made, accepts EEXIST EPERM  # create device "/dev/zero"
  24  if not (made == -EEXIST) skip 5  # verify "/dev/zero" when it was there
  25    openat(dev, "zero", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/zero"
  26    statx(source, "", AT_EMPTY_PATH, 2047, &stat)  # look at "/dev/zero"
  27    if not (is a character device) fail EEXIST  # create device "/dev/zero": another file is there, wanted a character device 1:5
  28    if not (is device 1:5) fail EEXIST  # create device "/dev/zero": another file is there, wanted a character device 1:5
  29    close(source), accepts any errno  # close source
  30  if not (made == -EPERM) skip 9  # bind "/dev/zero" when it cannot be created
  31    open_tree(AT_FDCWD, "/dev/zero", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/zero" of the host
  32    statx(tree, "", AT_EMPTY_PATH, 2047, &stat)  # look at device "/dev/zero" of the host
  33    if not (is a character device) fail EEXIST  # bind device "/dev/zero" of the host: it is another device, wanted a character device 1:5
  34    if not (is device 1:5) fail EEXIST  # bind device "/dev/zero" of the host: it is another device, wanted a character device 1:5
  35    mknodat(dev, "zero", 0100644, 0), accepts EEXIST  # create file "/dev/zero"
  36    openat(dev, "zero", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/zero"
  37    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/zero" of the host
  38    close(source), accepts any errno  # close source
  39    close(tree), accepts any errno  # close tree
  40  mknodat(dev, "full", 020666, 263) = made, accepts EEXIST EPERM  # create device "/dev/full"
  41  if not (made == -EEXIST) skip 5  # verify "/dev/full" when it was there
  42    openat(dev, "full", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/full"
  43    statx(source, "", AT_EMPTY_PATH, 2047, &stat)  # look at "/dev/full"
  44    if not (is a character device) fail EEXIST  # create device "/dev/full": another file is there, wanted a character device 1:7
  45    if not (is device 1:7) fail EEXIST  # create device "/dev/full": another file is there, wanted a character device 1:7
  46    close(source), accepts any errno  # close source
  47  if not (made == -EPERM) skip 9  # bind "/dev/full" when it cannot be created
  48    open_tree(AT_FDCWD, "/dev/full", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/full" of the host
  49    statx(tree, "", AT_EMPTY_PATH, 2047, &stat)  # look at device "/dev/full" of the host
  50    if not (is a character device) fail EEXIST  # bind device "/dev/full" of the host: it is another device, wanted a character device 1:7
  51    if not (is device 1:7) fail EEXIST  # bind device "/dev/full" of the host: it is another device, wanted a character device 1:7
  52    mknodat(dev, "full", 0100644, 0), accepts EEXIST  # create file "/dev/full"
  53    openat(dev, "full", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/full"
  54    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/full" of the host
  55    close(source), accepts any errno  # close source
  56    close(tree), accepts any errno  # close tree
  57  mknodat(dev, "random", 020666, 264) = made, accepts EEXIST EPERM  # create device "/dev/random"
  58  if not (made == -EEXIST) skip 5  # verify "/dev/random" when it was there
  59    openat(dev, "random", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/random"
  60    statx(source, "", AT_EMPTY_PATH, 2047, &stat)  # look at "/dev/random"
  61    if not (is a character device) fail EEXIST  # create device "/dev/random": another file is there, wanted a character device 1:8
  62    if not (is device 1:8) fail EEXIST  # create device "/dev/random": another file is there, wanted a character device 1:8
  63    close(source), accepts any errno  # close source
  64  if not (made == -EPERM) skip 9  # bind "/dev/random" when it cannot be created
  65    open_tree(AT_FDCWD, "/dev/random", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/random" of the host
  66    statx(tree, "", AT_EMPTY_PATH, 2047, &stat)  # look at device "/dev/random" of the host
  67    if not (is a character device) fail EEXIST  # bind device "/dev/random" of the host: it is another device, wanted a character device 1:8
  68    if not (is device 1:8) fail EEXIST  # bind device "/dev/random" of the host: it is another device, wanted a character device 1:8
  69    mknodat(dev, "random", 0100644, 0), accepts EEXIST  # create file "/dev/random"
  70    openat(dev, "random", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/random"
  71    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/random" of the host
  72    close(source), accepts any errno  # close source
  73    close(tree), accepts any errno  # close tree
  74  mknodat(dev, "urandom", 020666, 265) = made, accepts EEXIST EPERM  # create device "/dev/urandom"
  75  if not (made == -EEXIST) skip 5  # verify "/dev/urandom" when it was there
  76    openat(dev, "urandom", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/urandom"
  77    statx(source, "", AT_EMPTY_PATH, 2047, &stat)  # look at "/dev/urandom"
  78    if not (is a character device) fail EEXIST  # create device "/dev/urandom": another file is there, wanted a character device 1:9
  79    if not (is device 1:9) fail EEXIST  # create device "/dev/urandom": another file is there, wanted a character device 1:9
  80    close(source), accepts any errno  # close source
  81  if not (made == -EPERM) skip 9  # bind "/dev/urandom" when it cannot be created
  82    open_tree(AT_FDCWD, "/dev/urandom", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/urandom" of the host
  83    statx(tree, "", AT_EMPTY_PATH, 2047, &stat)  # look at device "/dev/urandom" of the host
  84    if not (is a character device) fail EEXIST  # bind device "/dev/urandom" of the host: it is another device, wanted a character device 1:9
  85    if not (is device 1:9) fail EEXIST  # bind device "/dev/urandom" of the host: it is another device, wanted a character device 1:9
  86    mknodat(dev, "urandom", 0100644, 0), accepts EEXIST  # create file "/dev/urandom"
  87    openat(dev, "urandom", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/urandom"
  88    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/urandom" of the host
  89    close(source), accepts any errno  # close source
  90    close(tree), accepts any errno  # close tree
  91  mknodat(dev, "tty", 020666, 1280) = made, accepts EEXIST EPERM  # create device "/dev/tty"
  92  if not (made == -EEXIST) skip 5  # verify "/dev/tty" when it was there
  93    openat(dev, "tty", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/tty"
  94    statx(source, "", AT_EMPTY_PATH, 2047, &stat)  # look at "/dev/tty"
  95    if not (is a character device) fail EEXIST  # create device "/dev/tty": another file is there, wanted a character device 5:0
  96    if not (is device 5:0) fail EEXIST  # create device "/dev/tty": another file is there, wanted a character device 5:0
  97    close(source), accepts any errno  # close source
  98  if not (made == -EPERM) skip 9  # bind "/dev/tty" when it cannot be created
  99    open_tree(AT_FDCWD, "/dev/tty", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/tty" of the host
 100    statx(tree, "", AT_EMPTY_PATH, 2047, &stat)  # look at device "/dev/tty" of the host
 101    if not (is a character device) fail EEXIST  # bind device "/dev/tty" of the host: it is another device, wanted a character device 5:0
 102    if not (is device 5:0) fail EEXIST  # bind device "/dev/tty" of the host: it is another device, wanted a character device 5:0
 103    mknodat(dev, "tty", 0100644, 0), accepts EEXIST  # create file "/dev/tty"
 104    openat(dev, "tty", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/tty"
 105    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/tty" of the host
 106    close(source), accepts any errno  # close source
 107    close(tree), accepts any errno  # close tree
 108  unlinkat(dev, "ptmx", 0), accepts ENOENT EBUSY  # remove "/dev/ptmx"
 109  symlinkat("pts/ptmx", dev, "ptmx"), accepts EEXIST  # link "/dev/ptmx" to "pts/ptmx"
 110  symlinkat("/proc/self/fd", dev, "fd"), accepts EEXIST  # link "/dev/fd" to "/proc/self/fd"
 111  symlinkat("/proc/self/fd/0", dev, "stdin"), accepts EEXIST  # link "/dev/stdin" to "/proc/self/fd/0"
 112  symlinkat("/proc/self/fd/1", dev, "stdout"), accepts EEXIST  # link "/dev/stdout" to "/proc/self/fd/1"
 113  symlinkat("/proc/self/fd/2", dev, "stderr"), accepts EEXIST  # link "/dev/stderr" to "/proc/self/fd/2"
 114  symlinkat("/proc/kcore", dev, "core"), accepts EEXIST  # link "/dev/core" to "/proc/kcore"
 115  close(dev), accepts any errno  # close dev
`,
  );
  t.end();
});

t.test('planDevices() links /dev/core only when it is told to', (t) => {
  const labels = (hasKcore: boolean) => planDevices(makeContext(), { hasKcore }).map(({ label }) => label);
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
  t.match(first, { operands: [{}, 'dev', { text: '{flags=O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}' }] });
  t.end();
});

t.test('planDevices() changes the owner of what it created', (t) => {
  t.equal(
    printSteps(planOne({ ...fuse, uid: 7, gid: 8 })),
    `
   0  mknodat(dev, "fuse", 020600, 2789) = made, accepts EEXIST EPERM  # create device "/dev/fuse"  (/linux/devices/6)
   1  if not (made == -EEXIST) skip 5  # verify "/dev/fuse" when it was there
   2    openat(dev, "fuse", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/fuse"  (/linux/devices/6)
   3    statx(source, "", AT_EMPTY_PATH, 2047, &stat)  # look at "/dev/fuse"
   4    if not (is a character device) fail EEXIST  # create device "/dev/fuse": another file is there, wanted a character device 10:229  (/linux/devices/6)
   5    if not (is device 10:229) fail EEXIST  # create device "/dev/fuse": another file is there, wanted a character device 10:229  (/linux/devices/6)
   6    close(source), accepts any errno  # close source
   7  if not (made == -EPERM) skip 9  # bind "/dev/fuse" when it cannot be created
   8    open_tree(AT_FDCWD, "/dev/fuse", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/dev/fuse" of the host  (/linux/devices/6)
   9    statx(tree, "", AT_EMPTY_PATH, 2047, &stat)  # look at device "/dev/fuse" of the host
  10    if not (is a character device) fail EEXIST  # bind device "/dev/fuse" of the host: it is another device, wanted a character device 10:229  (/linux/devices/6)
  11    if not (is device 10:229) fail EEXIST  # bind device "/dev/fuse" of the host: it is another device, wanted a character device 10:229  (/linux/devices/6)
  12    mknodat(dev, "fuse", 0100644, 0), accepts EEXIST  # create file "/dev/fuse"  (/linux/devices/6)
  13    openat(dev, "fuse", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/fuse"  (/linux/devices/6)
  14    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/fuse" of the host  (/linux/devices/6)
  15    close(source), accepts any errno  # close source
  16    close(tree), accepts any errno  # close tree
  17  if not (made == 0) skip 6  # leave the owner of "/dev/fuse" unless it was created
  18    openat(dev, "fuse", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/fuse"  (/linux/devices/6)
  19    statx(source, "", AT_EMPTY_PATH, 2047, &stat)  # look at "/dev/fuse"
  20    if not (is a character device) fail EEXIST  # change owner of device "/dev/fuse": it was replaced, wanted a character device 10:229  (/linux/devices/6)
  21    if not (is device 10:229) fail EEXIST  # change owner of device "/dev/fuse": it was replaced, wanted a character device 10:229  (/linux/devices/6)
  22    fchownat(source, "", 7, 8, AT_EMPTY_PATH)  # change owner of device "/dev/fuse" to 7:8  (/linux/devices/6)
  23    close(source), accepts any errno  # close source
`,
  );
  t.end();
});

t.test('planDevices() makes the directories of a device', (t) => {
  t.equal(
    printSteps(planOne({ type: 'b', path: '/srv/disk', major: 259, minor: 300 })),
    `
   0  openat2(root, "srv", {flags=O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT EAGAIN  # open "/srv"  (/linux/devices/6)
   1  if not (target < 0) skip 3  # make "/srv" unless it is there
   2    mkdirat(root, "srv", 0755), accepts EEXIST  # create directory "/srv"  (/linux/devices/6)
   3    openat2(root, "srv", {flags=O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/srv"  (/linux/devices/6)
   4    if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/srv"  (/linux/devices/6)
   5  mknodat(target, "disk", 060666, 1114924) = made, accepts EEXIST EPERM  # create device "/srv/disk"  (/linux/devices/6)
   6  if not (made == -EEXIST) skip 5  # verify "/srv/disk" when it was there
   7    openat(target, "disk", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/srv/disk"  (/linux/devices/6)
   8    statx(source, "", AT_EMPTY_PATH, 2047, &stat)  # look at "/srv/disk"
   9    if not (is a block device) fail EEXIST  # create device "/srv/disk": another file is there, wanted a block device 259:300  (/linux/devices/6)
  10    if not (is device 259:300) fail EEXIST  # create device "/srv/disk": another file is there, wanted a block device 259:300  (/linux/devices/6)
  11    close(source), accepts any errno  # close source
  12  if not (made == -EPERM) skip 9  # bind "/srv/disk" when it cannot be created
  13    open_tree(AT_FDCWD, "/srv/disk", OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # open device "/srv/disk" of the host  (/linux/devices/6)
  14    statx(tree, "", AT_EMPTY_PATH, 2047, &stat)  # look at device "/srv/disk" of the host
  15    if not (is a block device) fail EEXIST  # bind device "/srv/disk" of the host: it is another device, wanted a block device 259:300  (/linux/devices/6)
  16    if not (is device 259:300) fail EEXIST  # bind device "/srv/disk" of the host: it is another device, wanted a block device 259:300  (/linux/devices/6)
  17    mknodat(target, "disk", 0100644, 0), accepts EEXIST  # create file "/srv/disk"  (/linux/devices/6)
  18    openat(target, "disk", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/srv/disk"  (/linux/devices/6)
  19    move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/srv/disk" of the host  (/linux/devices/6)
  20    close(source), accepts any errno  # close source
  21    close(tree), accepts any errno  # close tree
  22  close(target), accepts any errno  # close target
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
   1  statx(tree, "", AT_EMPTY_PATH, 2047, &stat)  # look at device "/dev/fuse" of the host
   2  if not (is a character device) fail EEXIST  # bind device "/dev/fuse" of the host: it is another device, wanted a character device 10:229  (/linux/devices/6)
   3  if not (is device 10:229) fail EEXIST  # bind device "/dev/fuse" of the host: it is another device, wanted a character device 10:229  (/linux/devices/6)
   4  mknodat(dev, "fuse", 0100644, 0), accepts EEXIST  # create file "/dev/fuse"  (/linux/devices/6)
   5  openat(dev, "fuse", O_CLOEXEC|O_NOFOLLOW|O_PATH, 0) = source  # open device "/dev/fuse"  (/linux/devices/6)
   6  move_mount(tree, "", source, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind device "/dev/fuse" of the host  (/linux/devices/6)
   7  close(source), accepts any errno  # close source
   8  close(tree), accepts any errno  # close tree
`,
  );
  const context = makeContext({ config: { linux: { namespaces: [{ type: 'user' }], devices: [fuse] } } });
  t.notOk(planDevices(context).some(({ label }) => label.startsWith('create device')));
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
