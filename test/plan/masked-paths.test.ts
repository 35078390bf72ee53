import t from 'tap';
import { planMaskedPaths, planReadonlyPaths } from '../../src/plan/masked-paths.ts';
import { makeContext, printSteps } from './fixtures.ts';

t.test('planMaskedPaths() covers by the type of what is there', (t) => {
  t.same(planMaskedPaths(makeContext()), []);
  t.equal(
    printSteps(planMaskedPaths(makeContext({ config: { linux: { maskedPaths: ['/proc/kcore'] } } }))),
    `
   0  openat2(root, "dev/null", {flags=O_PATH|O_NOFOLLOW, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}, 24) = null, accepts ENOENT  # open "/dev/null"  (/linux/maskedPaths)
   1  if null < 0 skip 3  # skip 3 when null < 0
   2    statx(null, "", AT_EMPTY_PATH, 2047, &stat)  # look at "/dev/null"
   3    if not (is a character device) fail ENODEV  # mask paths: "/dev/null" is not the null device  (/linux/maskedPaths)
   4    if not (is device 1:3) fail ENODEV  # mask paths: "/dev/null" is not the null device  (/linux/maskedPaths)
   5  openat2(root, "proc/kcore", {flags=O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT ENOTDIR EACCES EAGAIN  # open "/proc/kcore"  (/linux/maskedPaths/0)
   6  if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/proc/kcore"  (/linux/maskedPaths/0)
   7  if target < 0 skip 11  # skip "/proc/kcore" when it is not there
   8    statx(target, "", AT_EMPTY_PATH, 2047, &stat)  # look at "/proc/kcore"
   9    if not (is a directory) skip 3  # cover "/proc/kcore" when it is a directory
  10      fchdir(target) = source, accepts EACCES  # enter "/proc/kcore"  (/linux/maskedPaths/0)
  11      if source < 0 skip 1  # skip 1 when source < 0
  12        mount("tmpfs", ".", "tmpfs", MS_NODEV|MS_NOEXEC|MS_NOSUID|MS_RDONLY, "nr_blocks=1,nr_inodes=1")  # mask directory "/proc/kcore"  (/linux/maskedPaths/0)
  13    if is a directory skip 4  # cover "/proc/kcore" when it is none
  14      if null < 0 fail ENOENT  # mask file "/proc/kcore": the container has no "/dev/null"  (/linux/maskedPaths/0)
  15      open_tree(null, "", AT_EMPTY_PATH|OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # mask file "/proc/kcore"  (/linux/maskedPaths/0)
  16      move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # mask file "/proc/kcore"  (/linux/maskedPaths/0)
  17      close(tree), accepts any errno  # close tree
  18    close(target), accepts any errno  # close target
  19  close(null), accepts any errno  # close null
  20  fchdir(root)  # return to the root
`,
  );
  t.end();
});

t.test('CVE-2025-31133: planMaskedPaths() verifies /dev/null once, by its handle', (t) => {
  const steps = planMaskedPaths(makeContext({ config: { linux: { maskedPaths: ['/a', '/b'] } } }));
  const failures = steps.filter(({ label }) => label === 'mask paths: "/dev/null" is not the null device');
  t.equal(failures.length, 2);
  t.match(failures, [
    { condition: { text: 'not (is a character device)' }, then: { fail: 'ENODEV' } },
    { condition: { text: 'not (is device 1:3)' }, then: { fail: 'ENODEV' } },
  ]);
  t.end();
});

t.test('planMaskedPaths() labels the tmpfs for SELinux', (t) => {
  const linux = { maskedPaths: ['/sys/firmware'], mountLabel: 'u:r:t:s0:c1,c2' };
  const dataOf = (selinux: boolean) =>
    planMaskedPaths(makeContext({ config: { linux }, host: { lsm: { selinux } } })).flatMap((step) =>
      step.kind === 'call' && step.call === 'mount' ? [step.operands[4]] : [],
    );
  t.same(dataOf(true), ['nr_blocks=1,nr_inodes=1,context="u:r:t:s0:c1,c2"']);
  t.same(dataOf(false), ['nr_blocks=1,nr_inodes=1']);
  t.end();
});

t.test('planReadonlyPaths() makes a mount of the path read-only before it is attached', (t) => {
  t.same(planReadonlyPaths(makeContext()), []);
  t.equal(
    printSteps(planReadonlyPaths(makeContext({ config: { linux: { readonlyPaths: ['/proc/sys'] } } }))),
    `
   0  openat2(root, "proc/sys", {flags=O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT ENOTDIR EACCES EAGAIN  # open "/proc/sys"  (/linux/readonlyPaths/0)
   1  if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/proc/sys"  (/linux/readonlyPaths/0)
   2  if target < 0 skip 5  # skip "/proc/sys" when it is not there
   3    open_tree(target, "", AT_EMPTY_PATH|AT_RECURSIVE|OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # bind "/proc/sys"  (/linux/readonlyPaths/0)
   4    mount_setattr(tree, "", AT_EMPTY_PATH, {set=0x1}, 32)  # make "/proc/sys" read-only  (/linux/readonlyPaths/0)
   5    move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind "/proc/sys"  (/linux/readonlyPaths/0)
   6    close(tree), accepts any errno  # close tree
   7    close(target), accepts any errno  # close target
`,
  );
  t.end();
});

const oldKernel = { kernel: { mountSetattr: false } };

t.test('planReadonlyPaths() remounts with the attributes kept where mount_setattr is missing', (t) => {
  // A sysctl has the private proc file system opened already.
  const linux = { readonlyPaths: ['/proc/sys'], sysctl: { 'net.ipv4.ip_forward': '1' } };
  t.equal(
    printSteps(planReadonlyPaths(makeContext({ config: { linux }, host: oldKernel }))),
    `
   0  openat2(root, "proc/sys", {flags=O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT ENOTDIR EACCES EAGAIN  # open "/proc/sys"  (/linux/readonlyPaths/0)
   1  if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/proc/sys"  (/linux/readonlyPaths/0)
   2  if target < 0 skip 25  # skip "/proc/sys" when it is not there
   3    open_tree(target, "", AT_EMPTY_PATH|AT_RECURSIVE|OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # bind "/proc/sys"  (/linux/readonlyPaths/0)
   4    move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # bind "/proc/sys"  (/linux/readonlyPaths/0)
   5    dup3(tree, 5, O_CLOEXEC)  # number tree 5  (/linux/readonlyPaths/0)
   6    fchdir(proc)  # enter the private proc file system  (/linux/readonlyPaths/0)
   7    fstatfs(tree, &stat)  # make "/proc/sys" read-only  (/linux/readonlyPaths/0)
   8    if not (attributes are 0) skip 1  # keep the attributes 0
   9      mount(NULL, "thread-self/fd/5", NULL, MS_BIND|MS_RDONLY|MS_REMOUNT, NULL)  # make "/proc/sys" read-only  (/linux/readonlyPaths/0)
  10    if not (attributes are 2) skip 1  # keep the attributes 2
  11      mount(NULL, "thread-self/fd/5", NULL, MS_BIND|MS_NOSUID|MS_RDONLY|MS_REMOUNT, NULL)  # make "/proc/sys" read-only  (/linux/readonlyPaths/0)
  12    if not (attributes are 4) skip 1  # keep the attributes 4
  13      mount(NULL, "thread-self/fd/5", NULL, MS_BIND|MS_NODEV|MS_RDONLY|MS_REMOUNT, NULL)  # make "/proc/sys" read-only  (/linux/readonlyPaths/0)
  14    if not (attributes are 6) skip 1  # keep the attributes 6
  15      mount(NULL, "thread-self/fd/5", NULL, MS_BIND|MS_NODEV|MS_NOSUID|MS_RDONLY|MS_REMOUNT, NULL)  # make "/proc/sys" read-only  (/linux/readonlyPaths/0)
  16    if not (attributes are 8) skip 1  # keep the attributes 8
  17      mount(NULL, "thread-self/fd/5", NULL, MS_BIND|MS_NOEXEC|MS_RDONLY|MS_REMOUNT, NULL)  # make "/proc/sys" read-only  (/linux/readonlyPaths/0)
  18    if not (attributes are 10) skip 1  # keep the attributes 10
  19      mount(NULL, "thread-self/fd/5", NULL, MS_BIND|MS_NOEXEC|MS_NOSUID|MS_RDONLY|MS_REMOUNT, NULL)  # make "/proc/sys" read-only  (/linux/readonlyPaths/0)
  20    if not (attributes are 12) skip 1  # keep the attributes 12
  21      mount(NULL, "thread-self/fd/5", NULL, MS_BIND|MS_NODEV|MS_NOEXEC|MS_RDONLY|MS_REMOUNT, NULL)  # make "/proc/sys" read-only  (/linux/readonlyPaths/0)
  22    if not (attributes are 14) skip 1  # keep the attributes 14
  23      mount(NULL, "thread-self/fd/5", NULL, MS_BIND|MS_NODEV|MS_NOEXEC|MS_NOSUID|MS_RDONLY|MS_REMOUNT, NULL)  # make "/proc/sys" read-only  (/linux/readonlyPaths/0)
  24    dup3(3, 5, O_CLOEXEC)  # keep number 5
  25    dup3(3, 6, O_CLOEXEC)  # keep number 6
  26    close(tree), accepts any errno  # close tree
  27    close(target), accepts any errno  # close target
  28  fchdir(root)  # return to the root
`,
  );
  t.end();
});

t.test('planReadonlyPaths() opens a private proc file system where it needs one', (t) => {
  t.same(planReadonlyPaths(makeContext({ host: oldKernel })), []);
  const linux = { readonlyPaths: ['/proc/sys'] };
  const [first] = planReadonlyPaths(makeContext({ config: { linux }, host: oldKernel }));
  t.match(first, { call: 'fsopen', operands: ['proc'] });
  t.end();
});
