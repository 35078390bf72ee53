import t from 'tap';
import { call } from '../../../src/program/build.ts';
import * as planner from '../../../src/plan/rootfs/masked-paths.ts';
import type { PlanContext } from '../../../src/plan/base/context.ts';
import { expandParts, programOf } from '../../../src/program/series.ts';
import type { Step } from '../../../src/program/step.ts';
import { differences } from '../../program/series-bytes.ts';
import { makeContext, printSteps } from '../fixtures.ts';

const planMaskedPaths = (context: PlanContext): Step[] => expandParts(planner.planMaskedPaths(context));
const planReadonlyPaths = (context: PlanContext): Step[] => expandParts(planner.planReadonlyPaths(context));

t.test('planMaskedPaths() covers by the type of what is there', (t) => {
  t.same(planMaskedPaths(makeContext()), []);
  t.equal(
    printSteps(planMaskedPaths(makeContext({ config: { linux: { maskedPaths: ['/proc/kcore'] } } }))),
    `
   0  openat2(root, "dev/null", {flags=O_CLOEXEC|O_NOFOLLOW|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}, 24) = null, accepts ENOENT  # open "/dev/null"  (/linux/maskedPaths)
   1  if null < 0 skip 3  # skip 3 when null < 0
   2    statx(null, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/dev/null"
   3    if not (is a character device) fail ENODEV  # mask paths: "/dev/null" is not the null device  (/linux/maskedPaths)
   4    if not (is device 1:3) fail ENODEV  # mask paths: "/dev/null" is not the null device  (/linux/maskedPaths)
   5  fsopen("tmpfs", FSOPEN_CLOEXEC) = file system  # make an empty file system to mask with  (/linux/maskedPaths)
   6  fsconfig(file system, FSCONFIG_SET_STRING, "nr_blocks", "1", 0)  # make an empty file system to mask with  (/linux/maskedPaths)
   7  fsconfig(file system, FSCONFIG_SET_STRING, "nr_inodes", "1", 0)  # make an empty file system to mask with  (/linux/maskedPaths)
   8  fsconfig(file system, FSCONFIG_SET_FLAG, "ro", NULL, 0)  # make an empty file system to mask with  (/linux/maskedPaths)
   9  fsconfig(file system, FSCONFIG_CMD_CREATE, NULL, NULL, 0) = attached  # make an empty file system to mask with  (/linux/maskedPaths)
  10  fsmount(file system, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID|MOUNT_ATTR_RDONLY) = empty  # make an empty file system to mask with  (/linux/maskedPaths)
  11  close(file system), accepts any errno  # close file system
  12  openat2(root, "proc/kcore", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT ENOTDIR EACCES EAGAIN  # open "/proc/kcore"  (/linux/maskedPaths/0)
  13  if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/proc/kcore"  (/linux/maskedPaths/0)
  14  if target < 0 skip 16  # skip "/proc/kcore" when it is not there
  15    statx(target, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/proc/kcore"
  16    if not (is a directory) skip 8  # cover "/proc/kcore" when it is a directory
  17      open_tree(empty, "", AT_EMPTY_PATH|OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree, accepts EINVAL  # mask directory "/proc/kcore"  (/linux/maskedPaths/0)
  18      if not (tree < 0) skip 3  # skip 3 when not (tree < 0)
  19        if not (attached == 0) fail EINVAL  # mask directory "/proc/kcore"  (/linux/maskedPaths/0)
  20        move_mount(empty, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # mask directory "/proc/kcore"  (/linux/maskedPaths/0)
  21        getpid() = attached  # mask directory "/proc/kcore"  (/linux/maskedPaths/0)
  22      if tree < 0 skip 2  # skip 2 when tree < 0
  23        move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # mask directory "/proc/kcore"  (/linux/maskedPaths/0)
  24        close(tree), accepts any errno  # close tree
  25    if is a directory skip 4  # cover "/proc/kcore" when it is none
  26      if null < 0 fail ENOENT  # mask file "/proc/kcore": the container has no "/dev/null"  (/linux/maskedPaths/0)
  27      open_tree(null, "", AT_EMPTY_PATH|OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # mask file "/proc/kcore"  (/linux/maskedPaths/0)
  28      move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # mask file "/proc/kcore"  (/linux/maskedPaths/0)
  29      close(tree), accepts any errno  # close tree
  30    close(target), accepts any errno  # close target
  31  close(empty), accepts any errno  # close empty
  32  close(null), accepts any errno  # close null
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
  const settings = (selinux: boolean) =>
    planMaskedPaths(makeContext({ config: { linux }, host: { lsm: { selinux } } })).flatMap((step) =>
      step.kind === 'call' && step.call === 'fsconfig' && step.operands[3] !== 0 ? [step.operands.slice(2, 4)] : [],
    );
  t.same(settings(true), [
    ['nr_blocks', '1'],
    ['nr_inodes', '1'],
    ['context', 'u:r:t:s0:c1,c2'],
  ]);
  t.same(settings(false), [
    ['nr_blocks', '1'],
    ['nr_inodes', '1'],
  ]);
  t.end();
});

t.test('planMaskedPaths() and planReadonlyPaths() take each path once', (t) => {
  const paths = ['/proc/acpi', '/sys//firmware/', '/proc/./acpi', '/sys/firmware', '/proc/../proc/acpi'];
  const opened = (steps: readonly Step[]) =>
    steps.flatMap((step) => (step.kind === 'call' && step.call === 'openat2' ? [step.pointer] : []));
  const linux = { maskedPaths: paths, readonlyPaths: paths };
  t.same(opened(planMaskedPaths(makeContext({ config: { linux } }))).slice(1), [
    '/linux/maskedPaths/0',
    '/linux/maskedPaths/1',
  ]);
  t.same(opened(planReadonlyPaths(makeContext({ config: { linux } }))), [
    '/linux/readonlyPaths/0',
    '/linux/readonlyPaths/1',
  ]);
  t.end();
});

t.test('planReadonlyPaths() makes the mount of the root read-only, and not one on top of it', (t) => {
  for (const path of ['/', '/.', '//', '/a/..'])
    t.match(planReadonlyPaths(makeContext({ config: { linux: { readonlyPaths: [path] } } })), [
      { call: 'mount_setattr', operands: [{ name: 'root' }], pointer: '/linux/readonlyPaths/0' },
    ]);
  t.end();
});

t.test('planReadonlyPaths() makes a mount of the path read-only before it is attached', (t) => {
  t.same(planReadonlyPaths(makeContext()), []);
  t.equal(
    printSteps(planReadonlyPaths(makeContext({ config: { linux: { readonlyPaths: ['/proc/sys'] } } }))),
    `
   0  openat2(root, "proc/sys", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT ENOTDIR EACCES EAGAIN  # open "/proc/sys"  (/linux/readonlyPaths/0)
   1  if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/proc/sys"  (/linux/readonlyPaths/0)
   2  if target < 0 skip 5  # skip "/proc/sys" when it is not there
   3    open_tree(target, "", AT_EMPTY_PATH|AT_RECURSIVE|OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # bind "/proc/sys"  (/linux/readonlyPaths/0)
   4    mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_RDONLY}, 32)  # make "/proc/sys" read-only  (/linux/readonlyPaths/0)
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
   0  openat2(root, "proc/sys", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT ENOTDIR EACCES EAGAIN  # open "/proc/sys"  (/linux/readonlyPaths/0)
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

t.test('planMaskedPaths() and planReadonlyPaths() have series of many paths, which are the steps of each', (t) => {
  const own = (count: number): string[] => Array.from({ length: count }, (_, index) => `/own/./${index}`);
  const paths = ['/', ...own(150), '/\ue000', '/x/..', ...own(300), '/last'];
  const linux = { maskedPaths: paths, readonlyPaths: paths };
  for (const planPaths of [planner.planMaskedPaths, planner.planReadonlyPaths]) {
    for (const host of [{}, oldKernel]) {
      const parts = planPaths(makeContext({ config: { linux }, host }));
      const series = parts.filter(({ kind }) => kind === 'series');
      t.match(series, [{ count: 150 }, { count: 151 }]);
      const program = programOf({ name: '', replies: false }, [...parts, call('getpid', [], { label: 'end' })]);
      t.strictSame(differences(program, 'x86-64'), []);
      const each = paths.flatMap((_, index) => (index > 151 && index < 303 ? [] : [index]));
      const pointers = program.steps.flatMap(({ pointer }) => /\/(\d+)$/.exec(pointer ?? '')?.[1] ?? []);
      t.strictSame([...new Set(pointers)].map(Number), each);
    }
  }
  t.end();
});
