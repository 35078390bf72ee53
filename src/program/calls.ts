/**
 * The system calls that a program may use: their numbers and how their operands read.
 *
 * Source: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h (arm64). Only calls that both
 * architectures have are listed, so that a plan is the same on either.
 */

export type Arch = 'x86-64' | 'arm64';

/** How the printer shows an operand; `flags:X` names a set of constants of util/constants.ts by prefix. */
export type ParameterKind =
  | 'int'
  | 'fd'
  | 'text'
  | 'octal'
  | 'pointer'
  | 'signal'
  | 'flags:MS_'
  | 'flags:MNT_'
  | 'flags:O_'
  | 'flags:AT_'
  | 'flags:CLONE_'
  | 'flags:OPEN_TREE_'
  | 'flags:MOVE_MOUNT_'
  | 'flags:MOUNT_ATTR_'
  | 'flags:SOCK_'
  | 'name:PR_'
  | 'name:FSCONFIG_'
  | 'name:IOCTL';

export interface CallInfo {
  readonly 'x86-64': number;
  readonly arm64: number;
  readonly parameters: readonly ParameterKind[];
}

function info(x86: number, arm64: number, ...parameters: ParameterKind[]): CallInfo {
  return { 'x86-64': x86, arm64, parameters };
}

export const CALLS = {
  read: info(0, 63, 'fd', 'pointer', 'int'),
  write: info(1, 64, 'fd', 'pointer', 'int'),
  close: info(3, 57, 'fd'),
  mmap: info(9, 222, 'pointer', 'int', 'int', 'int', 'fd', 'int'),
  ioctl: info(16, 29, 'fd', 'name:IOCTL', 'pointer'),
  writev: info(20, 66, 'fd', 'pointer', 'int'),
  madvise: info(28, 233, 'pointer', 'int', 'int'),
  getpid: info(39, 172),
  socket: info(41, 198, 'int', 'flags:SOCK_', 'int'),
  sendmsg: info(46, 211, 'fd', 'pointer', 'int'),
  recvmsg: info(47, 212, 'fd', 'pointer', 'int'),
  getsockopt: info(55, 209, 'fd', 'int', 'int', 'pointer', 'pointer'),
  clone: info(56, 220, 'flags:CLONE_', 'pointer', 'pointer', 'int', 'int'),
  execve: info(59, 221, 'text', 'pointer', 'pointer'),
  wait4: info(61, 260, 'int', 'pointer', 'int', 'pointer'),
  kill: info(62, 129, 'int', 'signal'),
  ftruncate: info(77, 46, 'fd', 'int'),
  getcwd: info(79, 17, 'pointer', 'int'),
  chdir: info(80, 49, 'text'),
  fcntl: info(72, 25, 'fd', 'int', 'int'),
  fchdir: info(81, 50, 'fd'),
  fchmod: info(91, 52, 'fd', 'octal'),
  fchown: info(93, 55, 'fd', 'int', 'int'),
  umask: info(95, 166, 'octal'),
  setsid: info(112, 157),
  setgroups: info(116, 159, 'int', 'pointer'),
  setresuid: info(117, 147, 'int', 'int', 'int'),
  setresgid: info(119, 149, 'int', 'int', 'int'),
  capset: info(126, 91, 'pointer', 'pointer'),
  personality: info(135, 92, 'int'),
  fstatfs: info(138, 44, 'fd', 'pointer'),
  prctl: info(157, 167, 'name:PR_', 'int', 'int', 'int', 'int'),
  pivot_root: info(155, 41, 'text', 'text'),
  chroot: info(161, 51, 'text'),
  mount: info(165, 40, 'text', 'text', 'text', 'flags:MS_', 'text'),
  umount2: info(166, 39, 'text', 'flags:MNT_'),
  sethostname: info(170, 161, 'text', 'int'),
  setdomainname: info(171, 162, 'text', 'int'),
  sched_setaffinity: info(203, 122, 'int', 'int', 'pointer'),
  exit_group: info(231, 94, 'int'),
  set_mempolicy: info(238, 237, 'int', 'pointer', 'int'),
  add_key: info(248, 217, 'text', 'text', 'pointer', 'int', 'int'),
  keyctl: info(250, 219, 'int', 'pointer', 'int', 'int', 'int'),
  ioprio_set: info(251, 30, 'int', 'int', 'int'),
  openat: info(257, 56, 'fd', 'text', 'flags:O_', 'octal'),
  mkdirat: info(258, 34, 'fd', 'text', 'octal'),
  mknodat: info(259, 33, 'fd', 'text', 'octal', 'int'),
  fchownat: info(260, 54, 'fd', 'text', 'int', 'int', 'flags:AT_'),
  unlinkat: info(263, 35, 'fd', 'text', 'flags:AT_'),
  symlinkat: info(266, 36, 'text', 'fd', 'text'),
  readlinkat: info(267, 78, 'fd', 'text', 'pointer', 'int'),
  fchmodat: info(268, 53, 'fd', 'text', 'octal'),
  unshare: info(272, 97, 'flags:CLONE_'),
  accept4: info(288, 242, 'fd', 'pointer', 'pointer', 'flags:SOCK_'),
  dup3: info(292, 24, 'fd', 'fd', 'flags:O_'),
  pipe2: info(293, 59, 'pointer', 'flags:O_'),
  prlimit64: info(302, 261, 'int', 'int', 'pointer', 'pointer'),
  setns: info(308, 268, 'fd', 'flags:CLONE_'),
  sched_setattr: info(314, 274, 'int', 'pointer', 'int'),
  seccomp: info(317, 277, 'int', 'int', 'pointer'),
  statx: info(332, 291, 'fd', 'text', 'flags:AT_', 'int', 'pointer'),
  open_tree: info(428, 428, 'fd', 'text', 'flags:OPEN_TREE_'),
  move_mount: info(429, 429, 'fd', 'text', 'fd', 'text', 'flags:MOVE_MOUNT_'),
  fsopen: info(430, 430, 'text', 'int'),
  fsconfig: info(431, 431, 'fd', 'name:FSCONFIG_', 'text', 'text', 'int'),
  fsmount: info(432, 432, 'fd', 'int', 'flags:MOUNT_ATTR_'),
  clone3: info(435, 435, 'pointer', 'int'),
  close_range: info(436, 436, 'int', 'int', 'int'),
  openat2: info(437, 437, 'fd', 'text', 'pointer', 'int'),
  faccessat2: info(439, 439, 'fd', 'text', 'int', 'flags:AT_'),
  mount_setattr: info(442, 442, 'fd', 'text', 'flags:AT_', 'pointer', 'int'),
  landlock_create_ruleset: info(444, 444, 'pointer', 'int', 'int'),
  landlock_add_rule: info(445, 445, 'fd', 'int', 'pointer', 'int'),
  landlock_restrict_self: info(446, 446, 'fd', 'int'),
} as const satisfies Record<string, CallInfo>;

export type CallName = keyof typeof CALLS;
