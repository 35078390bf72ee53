import t from 'tap';
import { addressOf, call, wordBlock } from '../../../src/program/build.ts';
import { ModelKernel } from '../../../src/program/model/kernel.ts';
import { simulate } from '../../../src/program/model/simulate.ts';
import { Memory, type CallStep } from '../../../src/program/step.ts';

const SYNC = 3;
const label = { label: 'test' };
const MS_BIND = 4096;
const MS_PRIVATE = 1 << 18;
const AT_FDCWD = -100;
const EMPTY_PATHS = 0x44;

function makeKernel(): ModelKernel {
  return new ModelKernel({
    syncFd: SYNC,
    tree: { rootfs: { proc: {}, etc: { hosts: '' }, up: '-> ..' }, data: { file: '' }, hosts: '' },
    filesystems: { proc: { self: { status: '' } } },
  });
}

/** The results of calls, one after the other. */
function resultsOf(kernel: ModelKernel, steps: readonly CallStep[]): number[] {
  const program = { name: 'test', steps: steps.map((step) => ({ ...step, accept: 'any' as const })), replies: false };
  return simulate(program, kernel, { arch: 'x86-64', syncFd: SYNC }).trace.map(({ result }) => Number(result));
}

t.test('the model kernel mounts file systems and binds', (t) => {
  const kernel = makeKernel();
  t.same(
    resultsOf(kernel, [
      call('mount', ['proc', '/rootfs/proc', 'proc', 0, 0], label),
      call('faccessat2', [AT_FDCWD, '/rootfs/proc/self/status', 0, 0], label),
      call('mount', ['/data', '/rootfs/etc', 0, MS_BIND, 0], label),
      call('faccessat2', [AT_FDCWD, '/rootfs/etc/file', 0, 0], label),
      call('faccessat2', [AT_FDCWD, '/rootfs/etc/hosts', 0, 0], label),
      call('faccessat2', [AT_FDCWD, '/rootfs/etc/../proc', 0, 0], label),
      call('mount', ['/hosts', '/rootfs/etc', 0, MS_BIND, 0], label),
      call('mount', ['none', '/rootfs', 0, MS_PRIVATE, 0], label),
      call('mount', ['none', '/missing', 'tmpfs', 0, 0], label),
      call('umount2', ['/rootfs/etc', 2], label),
      call('faccessat2', [AT_FDCWD, '/rootfs/etc/hosts', 0, 0], label),
      call('umount2', ['/rootfs/etc', 2], label),
    ]),
    [0, 0, 0, 0, -2, 0, -20, 0, -2, 0, 0, -22],
  );
  t.same(kernel.mounts, [
    { call: 'mount', type: 'proc', target: '/rootfs/proc' },
    { call: 'mount', type: 'bind', target: '/rootfs/etc' },
    { call: 'mount', type: '', target: '/rootfs' },
    { call: 'umount2', type: '', target: '/rootfs/etc' },
  ]);
  t.end();
});

t.test('the model kernel mounts by descriptors', (t) => {
  const kernel = makeKernel();
  const memory = new Memory();
  const [fs, mount, target, tree] = ['fs', 'mount', 'target', 'tree'].map((name) => memory.word(name));
  if (fs === undefined || mount === undefined || target === undefined || tree === undefined)
    throw new Error('no words');
  t.same(
    resultsOf(kernel, [
      call('fsopen', ['proc', 1], { ...label, result: fs }),
      call('fsconfig', [fs, 6, 0, 0, 0], label),
      call('fsmount', [fs, 1, 0], { ...label, result: mount }),
      call('openat', [mount, 'self/status', 0, 0], label),
      call('openat', [AT_FDCWD, '/rootfs/proc', 0o12000000, 0], { ...label, result: target }),
      call('move_mount', [mount, '', target, '', EMPTY_PATHS], label),
      call('faccessat2', [AT_FDCWD, '/rootfs/proc/self', 0, 0], label),
      call('mount_setattr', [mount, '', 0x1000, wordBlock([0, 0, 0, 0], '{}'), 32], label),
      call('open_tree', [AT_FDCWD, '/data', 1], { ...label, result: tree }),
      call('move_mount', [tree, '', AT_FDCWD, '/rootfs/etc', 4], label),
      call('faccessat2', [AT_FDCWD, '/rootfs/etc/file', 0, 0], label),
      call('fsmount', [mount, 1, 0], label),
      call('fsconfig', [mount, 6, 0, 0, 0], label),
    ]),
    [4, 0, 5, 6, 7, 0, 0, 0, 8, 0, 0, -22, -22],
  );
  t.same(kernel.mounts, [
    { call: 'move_mount', type: 'proc', target: '/rootfs/proc' },
    { call: 'mount_setattr', type: '', target: '/rootfs/proc' },
    { call: 'move_mount', type: 'bind', target: '/rootfs/etc' },
  ]);
  t.end();
});

t.test('the model kernel enters a root', (t) => {
  const kernel = makeKernel();
  const memory = new Memory();
  const [old, path] = [memory.word('old'), memory.buffer('path', 32)];
  t.same(
    resultsOf(kernel, [
      call('mount', ['/rootfs', '/rootfs', 0, MS_BIND, 0], label),
      call('openat', [AT_FDCWD, '/', 0o200000, 0], { ...label, result: old }),
      call('chdir', ['/rootfs'], label),
      call('pivot_root', ['.', '.'], label),
      call('faccessat2', [AT_FDCWD, '/etc/hosts', 0, 0], label),
      call('faccessat2', [AT_FDCWD, 'up/up/../etc', 0, 0], label),
      call('faccessat2', [AT_FDCWD, '/data', 0, 0], label),
      call('getcwd', [addressOf(path), 32], label),
      call('fchdir', [old], label),
      call('umount2', ['.', 2], label),
      call('chdir', ['/'], label),
      call('chroot', ['/etc/hosts'], label),
      call('chroot', ['/etc'], label),
      call('faccessat2', [AT_FDCWD, '/hosts', 0, 0], label),
      call('getcwd', [addressOf(path), 32], label),
    ]),
    [0, 4, 0, 0, 0, 0, -2, 2, 0, 0, 0, -20, 0, 0, 8],
  );
  t.end();
});
