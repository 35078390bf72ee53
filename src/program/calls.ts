import { CLONE_PIDFD, F_DUPFD_CLOEXEC, SECCOMP_FILTER_FLAG_NEW_LISTENER, TIOCGPTPEER } from '../util/constants.ts';

/**
 * The system calls that a program may use, a row each: number per architecture, and for every argument its name, what it is, whether
 * the kernel writes through it, and how the constants in it print; and which descriptors it makes.
 *
 * Source: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h (arm64); the names are those of man 2. Only
 * calls that both architectures have are listed, so that a plan is the same on either.
 */

export type Arch = 'x86-64' | 'arm64';

/** What an argument is, by which it prints; `constant-names.ts` has a row for each. */
export type ArgumentKind =
  | 'int'
  | 'fd'
  | 'last descriptor'
  | 'id'
  | 'mode'
  | 'access mode'
  | 'device'
  | 'signal'
  /** A pointer to a string that ends with a NUL. */
  | 'text'
  /** A pointer to what the kernel reads. */
  | 'pointer'
  /** A pointer to what the kernel writes. */
  | 'written'
  /** A pointer to what the kernel reads and writes, or through whose own pointers it writes. */
  | 'changed'
  | 'socket type'
  | 'clone flags'
  | 'memory policy'
  | 'io priority'
  | `flags:${FlagSet}`
  | `name:${NameSet}`;

/** Sets of bits, by the prefix of their constants. */
export type FlagSet =
  | 'AT_'
  | 'AT_E'
  | 'CLONE_'
  | 'CLOSE_RANGE_'
  | 'FD_'
  | 'FSMOUNT_'
  | 'FSOPEN_'
  | 'KEY_'
  | 'LANDLOCK_ACCESS_FS_'
  | 'MNT_'
  | 'MOUNT_ATTR_'
  | 'MOVE_MOUNT_'
  | 'MSG_'
  | 'MS_'
  | 'OPEN_TREE_'
  | 'O_'
  | 'O_CLOEXEC'
  | 'RESOLVE_'
  | 'SCHED_FLAG_'
  | 'SECCOMP_FILTER_FLAG_'
  | 'SOCK_'
  | 'STATX_';

/** Constants of which an argument is one, by their prefix. */
export type NameSet =
  | 'AF_'
  | 'CAP_'
  | 'CLOCK_'
  | 'FSCONFIG_'
  | 'F_'
  | 'IOCTL'
  | 'IOPRIO_WHO_'
  | 'KEYCTL_'
  | 'LANDLOCK_RULE_'
  | 'PER_'
  | 'PR_'
  | 'PR_CAP_AMBIENT_'
  | 'RLIMIT_'
  | 'SCHED_'
  | 'SECCOMP_SET_'
  | 'SHUT_'
  | 'SIG_'
  | 'SOL_'
  | 'SO_';

/** The constant that an earlier argument is -> what this one is then; `int`, or `else`, with any other. */
export type KindByName = Readonly<Record<string, ArgumentKind>> & { readonly else?: ArgumentKind };

/** A parameter of a system call by its name in the man page, and how its values are printed and verified. */
export interface Parameter {
  readonly name: string;
  readonly kind: ArgumentKind | KindByName;
  /** The kernel writes through it. */
  readonly isWritten: boolean;
  /** It may be left out, as in C; it is zero then. */
  readonly isOptional: boolean;
}

/** The descriptors that a call makes. */
export interface MadeDescriptors {
  /** How many: one is the result, or is written through the argument `through`; more are 4 bytes each there. */
  readonly count: number;
  /** Index of the argument. */
  readonly through?: number;
  /** It makes them only where the argument with this index is `value`, or, of flags, has all its bits. */
  readonly when?: { readonly argument: number; readonly value: number; readonly isFlag?: true };
}

/** The number of a system call on each architecture, and its parameters in the order of the C function, at most six. */
export interface CallInfo {
  readonly 'x86-64': number;
  readonly arm64: number;
  readonly parameters: readonly Parameter[];
  readonly makes?: MadeDescriptors;
}

/** A `?` behind the name of an argument says that it may be left out. */
function call(
  x86: number,
  arm64: number,
  parameters: Readonly<Record<string, ArgumentKind | KindByName>>,
  makes?: MadeDescriptors,
): CallInfo {
  const info = { 'x86-64': x86, arm64, parameters: Object.entries(parameters).map(parameter) };
  return makes === undefined ? info : { ...info, makes };
}

/** The result is a descriptor. */
const DESCRIPTOR: MadeDescriptors = { count: 1 };

function parameter([name, kind]: readonly [string, ArgumentKind | KindByName]): Parameter {
  const main = typeof kind === 'string' ? kind : kind.else;
  return {
    name: name.replace('?', ''),
    kind,
    isWritten: main === 'written' || main === 'changed',
    isOptional: name.endsWith('?'),
  };
}

/** Every system call that a program may use, by its name in section 2 of the man pages; numbers for x86-64, then arm64. */
export const CALLS = {
  read: call(0, 63, { fd: 'fd', buf: 'written', count: 'int' }),
  write: call(1, 64, { fd: 'fd', buf: 'pointer', count: 'int' }),
  close: call(3, 57, { fd: 'fd' }),
  mmap: call(9, 222, { addr: 'pointer', length: 'int', prot: 'int', flags: 'int', fd: 'fd', offset: 'int' }),
  rt_sigprocmask: call(14, 135, { how: 'name:SIG_', set: 'pointer', oldset: 'written', sigsetsize: 'int' }),
  ioctl: call(
    16,
    29,
    { fd: 'fd', op: 'name:IOCTL', 'argp?': { TIOCGPTPEER: 'flags:O_', else: 'changed' } },
    { count: 1, when: { argument: 1, value: TIOCGPTPEER } },
  ),
  pread64: call(17, 67, { fd: 'fd', buf: 'written', count: 'int', offset: 'int' }),
  writev: call(20, 66, { fd: 'fd', iov: 'pointer', iovcnt: 'int' }),
  madvise: call(28, 233, { addr: 'pointer', length: 'int', advice: 'int' }),
  nanosleep: call(35, 101, { req: 'pointer', rem: 'written' }),
  getpid: call(39, 172, {}),
  socket: call(41, 198, { domain: 'name:AF_', type: 'socket type', protocol: 'int' }, DESCRIPTOR),
  connect: call(42, 203, { sockfd: 'fd', addr: 'pointer', addrlen: 'int' }),
  sendto: call(44, 206, {
    sockfd: 'fd',
    buf: 'pointer',
    len: 'int',
    flags: 'flags:MSG_',
    dest_addr: 'pointer',
    addrlen: 'int',
  }),
  sendmsg: call(46, 211, { sockfd: 'fd', msg: 'pointer', flags: 'flags:MSG_' }),
  recvmsg: call(47, 212, { sockfd: 'fd', msg: 'changed', flags: 'flags:MSG_' }),
  shutdown: call(48, 210, { sockfd: 'fd', how: 'name:SHUT_' }),
  setsockopt: call(54, 208, {
    sockfd: 'fd',
    level: 'name:SOL_',
    optname: 'name:SO_',
    optval: 'pointer',
    optlen: 'int',
  }),
  getsockopt: call(55, 209, {
    sockfd: 'fd',
    level: 'name:SOL_',
    optname: 'name:SO_',
    optval: 'written',
    optlen: 'changed',
  }),
  clone: call(
    56,
    220,
    { flags: 'clone flags', stack: 'pointer', parent_tid: 'written', child_tid: 'int', tls: 'int' },
    { count: 1, through: 2, when: { argument: 0, value: CLONE_PIDFD, isFlag: true } },
  ),
  execve: call(59, 221, { pathname: 'text', argv: 'pointer', envp: 'pointer' }),
  wait4: call(61, 260, { pid: 'int', wstatus: 'written', options: 'int', rusage: 'written' }),
  waitid: call(247, 95, { idtype: 'int', id: 'int', infop: 'written', options: 'int', rusage: 'written' }),
  kill: call(62, 129, { pid: 'int', sig: 'signal' }),
  ftruncate: call(77, 46, { fd: 'fd', length: 'int' }),
  getcwd: call(79, 17, { buf: 'written', size: 'int' }),
  chdir: call(80, 49, { path: 'text' }),
  fcntl: call(
    72,
    25,
    { fd: 'fd', op: 'name:F_', 'arg?': { F_SETFD: 'flags:FD_' } },
    { count: 1, when: { argument: 1, value: F_DUPFD_CLOEXEC } },
  ),
  fchdir: call(81, 50, { fd: 'fd' }),
  fchmod: call(91, 52, { fd: 'fd', mode: 'mode' }),
  fchown: call(93, 55, { fd: 'fd', owner: 'id', group: 'id' }),
  umask: call(95, 166, { mask: 'mode' }),
  setsid: call(112, 157, {}),
  setgroups: call(116, 159, { size: 'int', list: 'pointer' }),
  setresuid: call(117, 147, { ruid: 'id', euid: 'id', suid: 'id' }),
  setresgid: call(119, 149, { rgid: 'id', egid: 'id', sgid: 'id' }),
  capset: call(126, 91, { hdrp: 'pointer', datap: 'pointer' }),
  personality: call(135, 92, { persona: 'name:PER_' }),
  fstatfs: call(138, 44, { fd: 'fd', buf: 'written' }),
  prctl: call(157, 167, {
    op: 'name:PR_',
    'arg2?': { PR_CAPBSET_DROP: 'name:CAP_', PR_CAP_AMBIENT: 'name:PR_CAP_AMBIENT_' },
    'arg3?': { PR_CAP_AMBIENT_RAISE: 'name:CAP_' },
    'arg4?': 'int',
    'arg5?': 'int',
  }),
  pivot_root: call(155, 41, { new_root: 'text', put_old: 'text' }),
  chroot: call(161, 51, { path: 'text' }),
  mount: call(165, 40, {
    source: 'text',
    target: 'text',
    filesystemtype: 'text',
    mountflags: 'flags:MS_',
    data: 'text',
  }),
  umount2: call(166, 39, { target: 'text', flags: 'flags:MNT_' }),
  sethostname: call(170, 161, { name: 'text', len: 'int' }),
  setdomainname: call(171, 162, { name: 'text', len: 'int' }),
  sched_setaffinity: call(203, 122, { pid: 'int', cpusetsize: 'int', mask: 'pointer' }),
  clock_gettime: call(228, 113, { clockid: 'name:CLOCK_', tp: 'written' }),
  exit_group: call(231, 94, { status: 'int' }),
  set_mempolicy: call(238, 237, { mode: 'memory policy', nodemask: 'pointer', maxnode: 'int' }),
  add_key: call(248, 217, { type: 'text', description: 'text', payload: 'pointer', plen: 'int', keyring: 'int' }),
  keyctl: call(250, 219, {
    operation: 'name:KEYCTL_',
    'arg2?': 'pointer',
    'arg3?': { KEYCTL_SETPERM: 'flags:KEY_' },
    'arg4?': 'int',
    'arg5?': 'int',
  }),
  ioprio_set: call(251, 30, { which: 'name:IOPRIO_WHO_', who: 'int', ioprio: 'io priority' }),
  openat: call(257, 56, { dirfd: 'fd', pathname: 'text', flags: 'flags:O_', 'mode?': 'mode' }, DESCRIPTOR),
  mkdirat: call(258, 34, { dirfd: 'fd', pathname: 'text', mode: 'mode' }),
  mknodat: call(259, 33, { dirfd: 'fd', pathname: 'text', mode: 'mode', dev: 'device' }),
  fchownat: call(260, 54, { dirfd: 'fd', pathname: 'text', owner: 'id', group: 'id', flags: 'flags:AT_' }),
  unlinkat: call(263, 35, { dirfd: 'fd', pathname: 'text', flags: 'flags:AT_' }),
  symlinkat: call(266, 36, { target: 'text', newdirfd: 'fd', linkpath: 'text' }),
  readlinkat: call(267, 78, { dirfd: 'fd', pathname: 'text', buf: 'written', bufsiz: 'int' }),
  fchmodat: call(268, 53, { dirfd: 'fd', pathname: 'text', mode: 'mode' }),
  unshare: call(272, 97, { flags: 'flags:CLONE_' }),
  ppoll: call(271, 73, { fds: 'changed', nfds: 'int', tmo_p: 'pointer', sigmask: 'pointer', sigsetsize: 'int' }),
  accept4: call(288, 242, { sockfd: 'fd', addr: 'written', addrlen: 'changed', flags: 'flags:SOCK_' }, DESCRIPTOR),
  signalfd4: call(289, 74, { fd: 'fd', mask: 'pointer', sizemask: 'int', flags: 'flags:O_CLOEXEC' }, DESCRIPTOR),
  dup3: call(292, 24, { oldfd: 'fd', newfd: 'fd', flags: 'flags:O_CLOEXEC' }),
  pipe2: call(293, 59, { pipefd: 'written', flags: 'flags:O_CLOEXEC' }, { count: 2, through: 0 }),
  prlimit64: call(302, 261, { pid: 'int', resource: 'name:RLIMIT_', new_limit: 'pointer', old_limit: 'written' }),
  setns: call(308, 268, { fd: 'fd', nstype: 'flags:CLONE_' }),
  sched_setattr: call(314, 274, { pid: 'int', attr: 'pointer', flags: 'int' }),
  seccomp: call(
    317,
    277,
    { operation: 'name:SECCOMP_SET_', flags: 'flags:SECCOMP_FILTER_FLAG_', args: 'pointer' },
    { count: 1, when: { argument: 1, value: SECCOMP_FILTER_FLAG_NEW_LISTENER, isFlag: true } },
  ),
  execveat: call(322, 281, { dirfd: 'fd', pathname: 'text', argv: 'pointer', envp: 'pointer', flags: 'flags:AT_' }),
  statx: call(332, 291, {
    dirfd: 'fd',
    pathname: 'text',
    flags: 'flags:AT_',
    mask: 'flags:STATX_',
    statxbuf: 'written',
  }),
  open_tree: call(428, 428, { dirfd: 'fd', pathname: 'text', flags: 'flags:OPEN_TREE_' }, DESCRIPTOR),
  move_mount: call(429, 429, {
    from_dirfd: 'fd',
    from_pathname: 'text',
    to_dirfd: 'fd',
    to_pathname: 'text',
    flags: 'flags:MOVE_MOUNT_',
  }),
  fsopen: call(430, 430, { fsname: 'text', flags: 'flags:FSOPEN_' }, DESCRIPTOR),
  fsconfig: call(431, 431, { fd: 'fd', cmd: 'name:FSCONFIG_', key: 'text', value: 'text', aux: 'int' }),
  fsmount: call(432, 432, { fsfd: 'fd', flags: 'flags:FSMOUNT_', attr_flags: 'flags:MOUNT_ATTR_' }, DESCRIPTOR),
  pidfd_open: call(434, 434, { pid: 'int', flags: 'int' }, DESCRIPTOR),
  clone3: call(435, 435, { cl_args: 'changed', size: 'int' }),
  close_range: call(436, 436, { first: 'int', last: 'last descriptor', flags: 'flags:CLOSE_RANGE_' }),
  openat2: call(437, 437, { dirfd: 'fd', pathname: 'text', how: 'pointer', size: 'int' }, DESCRIPTOR),
  faccessat2: call(439, 439, { dirfd: 'fd', pathname: 'text', mode: 'access mode', flags: 'flags:AT_E' }),
  mount_setattr: call(442, 442, { dirfd: 'fd', pathname: 'text', flags: 'flags:AT_', attr: 'pointer', size: 'int' }),
  landlock_create_ruleset: call(444, 444, { attr: 'pointer', size: 'int', flags: 'int' }, DESCRIPTOR),
  landlock_add_rule: call(445, 445, {
    ruleset_fd: 'fd',
    rule_type: 'name:LANDLOCK_RULE_',
    rule_attr: 'pointer',
    flags: 'int',
  }),
  landlock_restrict_self: call(446, 446, { ruleset_fd: 'fd', flags: 'int' }),
} as const satisfies Record<string, CallInfo>;

/** What a step may call; the encoder and `verify` know no other. */
export type CallName = keyof typeof CALLS;
