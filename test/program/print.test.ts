import t from 'tap';
import {
  addressOf,
  at,
  block,
  call,
  failWhen,
  isNegative,
  isZero,
  repeatWhile,
  stringArray,
  unless,
  when,
  wordBlock,
} from '../../src/program/build.ts';
import { printProgram, programToJson } from '../../src/program/print.ts';
import { printStep } from '../../src/program/print-step.ts';
import { Memory, type Program } from '../../src/program/step.ts';

const memory = new Memory();
const root = memory.word('root');
const stat = memory.buffer('stat', 256);
const label = { label: 'test' };

const program: Program = {
  name: 'prepare the rootfs',
  replies: true,
  steps: [
    call('openat', [-100, '/bundle/rootfs', 0o12000000, 0], {
      label: 'open the rootfs',
      pointer: '/root/path',
      result: root,
      accept: ['ENOENT', 'ENOTDIR'],
    }),
    ...when(
      isNegative(root),
      [
        call('mkdirat', [-100, '/bundle/rootfs', 0o755], { label: 'create it', accept: 'any' }),
        ...unless(
          isZero(at(stat, 24)),
          [call('fchmod', [root, 0o700], { label: 'close it to others' })],
          'unless nobody asked',
        ),
      ],
      'only where it is missing',
    ),
    failWhen(isNegative(root), 'ELOOP', { label: 'look again', pointer: '/root' }),
    call('write', [3, wordBlock([16], 'tag 16'), 8], { label: 'answer' }),
  ],
};

t.test('printProgram() shows a line a step, with spans indented', (t) => {
  t.equal(
    printProgram(program),
    [
      'prepare the rootfs',
      '   0  openat(AT_FDCWD, "/bundle/rootfs", O_CLOEXEC|O_PATH, 0) = root, accepts ENOENT ENOTDIR  # open the rootfs  (/root/path)',
      '   1  if not (root < 0) skip 3  # only where it is missing',
      '   2    mkdirat(AT_FDCWD, "/bundle/rootfs", 0755), accepts any errno  # create it',
      '   3    if stat+24 == 0 skip 1  # unless nobody asked',
      '   4      fchmod(root, 0700)  # close it to others',
      '   5  if root < 0 fail ELOOP  # look again  (/root)',
      '   6  write(3, tag 16, 8)  # answer',
      '',
    ].join('\n'),
  );
  t.equal(printProgram({ name: 'start', steps: [], replies: false }), 'start (no reply)\n');
  t.end();
});

t.test('a repetition is one line, and plain data', (t) => {
  const close = call('close', [root], label);
  const steps = repeatWhile(isNegative(root), [close], { tries: 64, fail: 'EAGAIN', label: 'open it' });
  t.equal(
    printProgram({ name: 'open', steps, replies: true }),
    'open\n   0  close(root)  # test\n   1  if root < 0 repeat 1 up to 64 times, then fail EAGAIN  # open it\n',
  );
  const [, check] = programToJson({ name: 'open', steps, replies: true }).steps;
  t.same(check, { index: 1, label: 'open it', if: 'root < 0', repeat: 1, tries: 64, fail: 'EAGAIN' });
  t.end();
});

t.test('programToJson() gives plain data', (t) => {
  t.same(JSON.parse(JSON.stringify(programToJson(program))), {
    name: 'prepare the rootfs',
    replies: true,
    steps: [
      {
        index: 0,
        label: 'open the rootfs',
        pointer: '/root/path',
        call: 'openat',
        operands: ['AT_FDCWD', '"/bundle/rootfs"', 'O_CLOEXEC|O_PATH', '0'],
        result: 'root',
        accept: ['ENOENT', 'ENOTDIR'],
      },
      { index: 1, label: 'only where it is missing', if: 'not (root < 0)', skip: 3 },
      {
        index: 2,
        label: 'create it',
        call: 'mkdirat',
        operands: ['AT_FDCWD', '"/bundle/rootfs"', '0755'],
        accept: 'any',
      },
      { index: 3, label: 'unless nobody asked', if: 'stat+24 == 0', skip: 1 },
      { index: 4, label: 'close it to others', call: 'fchmod', operands: ['root', '0700'] },
      { index: 5, label: 'look again', pointer: '/root', if: 'root < 0', fail: 'ELOOP' },
      { index: 6, label: 'answer', call: 'write', operands: ['3', 'tag 16', '8'] },
    ],
  });
  t.end();
});

t.test('printStep() shows operands much as strace does', (t) => {
  const shown = (...[name, operands]: [Parameters<typeof call>[0], Parameters<typeof call>[1]]): string =>
    printStep(call(name, operands, label));
  t.same(
    [
      shown('mount', ['proc', '/proc', 'proc', 2 | 4 | 8, 0]),
      shown('mount', [0, '/', 0, (1 << 19) | 16384, 0]),
      shown('mount', ['a', 'b', 0, 1n << 40n, 'size=1\n']),
      shown('umount2', ['.', 2]),
      shown('openat', [root, 'x', 0o2000101, 0o4755]),
      shown('openat', [-100, '/', 0o200000, 0]),
      shown('dup3', [root, 3, 0o2000000]),
      shown('dup3', [root, 3, 0]),
      shown('unlinkat', [root, 'x', 0x200]),
      shown('faccessat2', [root, 'x', 1, 0x200]),
      shown('statx', [root, '', 0x1100, 0x7ff, addressOf(stat)]),
      shown('open_tree', [-100, '/', 1 | 0o2000000 | 0x8000]),
      shown('move_mount', [root, '', root, '', 0x44]),
      shown('fsmount', [root, 1, 0x2 | 0x10]),
      shown('fsconfig', [root, 6, 0, 0, 0]),
      shown('unshare', [0x20000 | 0x20000000]),
      shown('setns', [root, 0]),
      shown('clone3', [block(new Uint8Array(8), '{flags=CLONE_PARENT}'), 88]),
      shown('prctl', [38, 1, 0, 0, 0]),
      shown('prctl', [999, 1]),
      shown('ioctl', [0, 0x540e, 0]),
      shown('socket', [1, 5 | 0o2000000, 0]),
      shown('accept4', [root, 0, 0, 0o2000000]),
      shown('kill', [1, 9]),
      shown('capset', [0, addressOf(stat, 8)]),
      shown('mmap', [0x1000, 1n << 40n, -1, 0, -1, 0]),
      shown('execve', ['/bin/sh', stringArray(['sh', '-c']), 0]),
      shown('read', [at(stat, 8), addressOf(stat), 16]),
    ],
    [
      'mount("proc", "/proc", "proc", MS_NODEV|MS_NOEXEC|MS_NOSUID, NULL)',
      'mount(NULL, "/", NULL, MS_REC|MS_SLAVE, NULL)',
      'mount("a", "b", NULL, 0x10000000000, "size=1\\n")',
      'umount2(".", MNT_DETACH)',
      'openat(root, "x", O_CLOEXEC|O_CREAT|O_WRONLY, 04755)',
      'openat(AT_FDCWD, "/", O_RDONLY|O_DIRECTORY, 0)',
      'dup3(root, 3, O_CLOEXEC)',
      'dup3(root, 3, 0)',
      'unlinkat(root, "x", AT_REMOVEDIR)',
      'faccessat2(root, "x", X_OK, AT_EACCESS)',
      'statx(root, "", AT_EMPTY_PATH|AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stat)',
      'open_tree(AT_FDCWD, "/", AT_RECURSIVE|OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE)',
      'move_mount(root, "", root, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)',
      'fsmount(root, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOATIME|MOUNT_ATTR_NOSUID)',
      'fsconfig(root, FSCONFIG_CMD_CREATE, NULL, NULL, 0)',
      'unshare(CLONE_NEWNS|CLONE_NEWPID)',
      'setns(root, 0)',
      'clone3({flags=CLONE_PARENT}, 88)',
      'prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)',
      'prctl(0x3e7, 1)',
      'ioctl(0, TIOCSCTTY, NULL)',
      'socket(AF_UNIX, SOCK_SEQPACKET|SOCK_CLOEXEC, 0)',
      'accept4(root, NULL, NULL, SOCK_CLOEXEC)',
      'kill(1, SIGKILL)',
      'capset(NULL, &stat+8)',
      'mmap(0x1000, 0x10000000000, -1, 0, -1, 0)',
      'execve("/bin/sh", ["sh","-c"], NULL)',
      'read(stat+8, &stat, 16)',
    ],
  );
  t.end();
});
