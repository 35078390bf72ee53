/**
 * Kernel constants in their C spelling, the same on x86-64 and arm64 unless said otherwise.
 * Source: include/uapi/linux/{mount,sched,fcntl,openat2,stat,prctl,capability,ioprio,mempolicy,close_range}.h.
 */

// mount(2)
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_SYNCHRONOUS = 16;
export const MS_REMOUNT = 32;
export const MS_MANDLOCK = 64;
export const MS_DIRSYNC = 128;
export const MS_NOSYMFOLLOW = 256;
export const MS_NOATIME = 1024;
export const MS_NODIRATIME = 2048;
export const MS_BIND = 4096;
export const MS_MOVE = 8192;
export const MS_REC = 16384;
export const MS_SILENT = 32768;
export const MS_UNBINDABLE = 1 << 17;
export const MS_PRIVATE = 1 << 18;
export const MS_SLAVE = 1 << 19;
export const MS_SHARED = 1 << 20;
export const MS_RELATIME = 1 << 21;
export const MS_I_VERSION = 1 << 23;
export const MS_STRICTATIME = 1 << 24;
export const MS_LAZYTIME = 1 << 25;
export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;

// the mount calls on descriptors: open_tree, move_mount, fsopen, fsconfig, fsmount, mount_setattr
export const OPEN_TREE_CLONE = 1;
export const OPEN_TREE_CLOEXEC = 0o2000000;
export const MOVE_MOUNT_F_EMPTY_PATH = 4;
export const MOVE_MOUNT_T_SYMLINKS = 0x10;
export const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
export const FSOPEN_CLOEXEC = 1;
export const FSMOUNT_CLOEXEC = 1;
export const FSCONFIG_SET_FLAG = 0;
export const FSCONFIG_SET_STRING = 1;
export const FSCONFIG_CMD_CREATE = 6;
export const MOUNT_ATTR_RDONLY = 0x1;
export const MOUNT_ATTR_NOSUID = 0x2;
export const MOUNT_ATTR_NODEV = 0x4;
export const MOUNT_ATTR_NOEXEC = 0x8;
export const MOUNT_ATTR__ATIME = 0x70;
export const MOUNT_ATTR_RELATIME = 0;
export const MOUNT_ATTR_NOATIME = 0x10;
export const MOUNT_ATTR_STRICTATIME = 0x20;
export const MOUNT_ATTR_NODIRATIME = 0x80;
export const MOUNT_ATTR_IDMAP = 0x10_0000;
export const MOUNT_ATTR_NOSYMFOLLOW = 0x20_0000;

// open(2), openat2(2), *at(2)
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NOCTTY = 0o400;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
/** x86-64's, for programs: their encoder knows arm64's. Who opens a file himself takes those of sys/open-flags.ts. */
export const O_DIRECTORY = 0o200000;
export const O_NOFOLLOW = 0o400000;
export const RESOLVE_NO_XDEV = 0x01;
export const RESOLVE_NO_MAGICLINKS = 0x02;
export const RESOLVE_NO_SYMLINKS = 0x04;
export const RESOLVE_BENEATH = 0x08;
export const RESOLVE_IN_ROOT = 0x10;
export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_SYMLINK_FOLLOW = 0x400;
export const AT_REMOVEDIR = 0x200;
export const AT_EACCESS = 0x200;
export const AT_EMPTY_PATH = 0x1000;
export const AT_RECURSIVE = 0x8000;
export const R_OK = 4;
export const W_OK = 2;
export const X_OK = 1;
export const STATX_BASIC_STATS = 0x7ff;
export const STATX_MNT_ID = 0x1000;
export const S_IFMT = 0o170000;
export const S_IFREG = 0o100000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFBLK = 0o060000;
export const S_IFIFO = 0o010000;
export const S_IFLNK = 0o120000;
export const S_IFSOCK = 0o140000;
export const CLOSE_RANGE_CLOEXEC = 4;

// clone3(2), unshare(2), setns(2)
export const CLONE_NEWTIME = 0x80;
export const CLONE_VM = 0x100;
export const CLONE_VFORK = 0x4000;
export const CLONE_PIDFD = 0x1000;
export const CLONE_PARENT = 0x8000;
export const CLONE_NEWNS = 0x20000;
export const CLONE_NEWCGROUP = 0x2000000;
export const CLONE_NEWUTS = 0x4000000;
export const CLONE_NEWIPC = 0x8000000;
export const CLONE_NEWUSER = 0x10000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;
export const CLONE_INTO_CGROUP = 0x200000000n;

// prctl(2), capabilities(7)
export const PR_SET_PDEATHSIG = 1;
export const PR_SET_DUMPABLE = 4;
export const PR_SET_KEEPCAPS = 8;
export const PR_SET_NAME = 15;
export const PR_CAPBSET_DROP = 24;
export const PR_SET_NO_NEW_PRIVS = 38;
export const PR_SET_CHILD_SUBREAPER = 36;
export const PR_CAP_AMBIENT = 47;
export const PR_CAP_AMBIENT_RAISE = 2;
export const PR_CAP_AMBIENT_CLEAR_ALL = 4;
export const CAP_SYS_PTRACE = 19;
export const CAP_SYS_ADMIN = 21;
export const LINUX_CAPABILITY_VERSION_3 = 0x20080522;

// socket(2) and friends
export const AF_UNIX = 1;
export const AF_NETLINK = 16;
export const AF_INET = 2;
export const SOCK_STREAM = 1;
export const SOCK_RAW = 3;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
export const SOCK_CLOEXEC = 0o2000000;
export const SOCK_NONBLOCK = 0o4000;
export const SOL_SOCKET = 1;
export const SO_PEERCRED = 17;
export const SO_RCVTIMEO = 20;
export const SO_SNDTIMEO = 21;
export const SHUT_RDWR = 2;
export const SCM_RIGHTS = 1;
export const MSG_PEEK = 2;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x40000000;

// poll(2), sigprocmask(2), wait4(2), waitid(2)
export const POLLIN = 1;
export const SIG_BLOCK = 0;
export const SIG_SETMASK = 2;
export const WNOHANG = 1;
export const WEXITED = 4;
export const WNOWAIT = 0x01000000;
export const P_ALL = 0;
export const P_PID = 1;
export const P_PIDFD = 3;

// ioctl(2)
export const TIOCSCTTY = 0x540e;
export const TIOCGWINSZ = 0x5413;
export const TIOCSWINSZ = 0x5414;
export const TIOCGPTN = 0x80045430;
export const TIOCSPTLCK = 0x40045431;
export const TIOCGPTPEER = 0x5441;
export const SIOCGIFFLAGS = 0x8913;
export const SIOCSIFFLAGS = 0x8914;
export const IFF_UP = 1;

// clock_gettime(2), mmap(2)
export const CLOCK_REALTIME = 0;
export const PROT_READ_WRITE = 3;
export const MAP_SHARED_FIXED = 0x11;

// memfd_create(2), fcntl(2)
export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const MFD_NOEXEC_SEAL = 0x8;
export const MFD_EXEC = 0x10;
export const F_DUPFD = 0;
export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const FD_CLOEXEC = 1;
export const F_ADD_SEALS = 1033;
export const F_SEAL_SEAL = 1;
export const F_SEAL_SHRINK = 2;
export const F_SEAL_GROW = 4;
export const F_SEAL_WRITE = 8;
export const F_SEAL_EXEC = 0x20;
export const F_DUPFD_CLOEXEC = 1030;

// keyctl(2)
export const KEYCTL_JOIN_SESSION_KEYRING = 1;
export const KEYCTL_SETPERM = 5;
export const KEY_POS_VIEW = 0x0100_0000;
export const KEY_POS_READ = 0x0200_0000;
export const KEY_POS_WRITE = 0x0400_0000;
export const KEY_POS_SEARCH = 0x0800_0000;
export const KEY_POS_LINK = 0x1000_0000;
export const KEY_POS_SETATTR = 0x2000_0000;
export const KEY_USR_VIEW = 0x0001_0000;
export const KEY_USR_READ = 0x0002_0000;
export const KEY_USR_WRITE = 0x0004_0000;
export const KEY_USR_SEARCH = 0x0008_0000;
export const KEY_USR_LINK = 0x0010_0000;
export const KEY_USR_SETATTR = 0x0020_0000;
export const KEY_GRP_VIEW = 0x0000_0100;
export const KEY_GRP_READ = 0x0000_0200;
export const KEY_GRP_WRITE = 0x0000_0400;
export const KEY_GRP_SEARCH = 0x0000_0800;
export const KEY_GRP_LINK = 0x0000_1000;
export const KEY_GRP_SETATTR = 0x0000_2000;
export const KEY_OTH_VIEW = 0x0000_0001;
export const KEY_OTH_READ = 0x0000_0002;
export const KEY_OTH_WRITE = 0x0000_0004;
export const KEY_OTH_SEARCH = 0x0000_0008;
export const KEY_OTH_LINK = 0x0000_0010;
export const KEY_OTH_SETATTR = 0x0000_0020;

// sched_setattr(2), personality(2), ioprio_set(2), prlimit(2), set_mempolicy(2)
export const SCHED_OTHER = 0;
export const SCHED_FIFO = 1;
export const SCHED_RR = 2;
export const SCHED_BATCH = 3;
export const SCHED_ISO = 4;
export const SCHED_IDLE = 5;
export const SCHED_DEADLINE = 6;
export const SCHED_FLAG_RESET_ON_FORK = 0x01;
export const SCHED_FLAG_RECLAIM = 0x02;
export const SCHED_FLAG_DL_OVERRUN = 0x04;
export const SCHED_FLAG_KEEP_POLICY = 0x08;
export const SCHED_FLAG_KEEP_PARAMS = 0x10;
export const SCHED_FLAG_UTIL_CLAMP_MIN = 0x20;
export const SCHED_FLAG_UTIL_CLAMP_MAX = 0x40;
export const PER_LINUX = 0;
export const PER_LINUX32 = 8;
export const IOPRIO_WHO_PROCESS = 1;
export const IOPRIO_CLASS_SHIFT = 13;
export const IOPRIO_CLASS_NONE = 0;
export const IOPRIO_CLASS_RT = 1;
export const IOPRIO_CLASS_BE = 2;
export const IOPRIO_CLASS_IDLE = 3;
export const RLIMIT_NOFILE = 7;
export const MPOL_DEFAULT = 0;
export const MPOL_PREFERRED = 1;
export const MPOL_BIND = 2;
export const MPOL_INTERLEAVE = 3;
export const MPOL_LOCAL = 4;
export const MPOL_PREFERRED_MANY = 5;
export const MPOL_WEIGHTED_INTERLEAVE = 6;
export const MPOL_F_STATIC_NODES = 1 << 15;
export const MPOL_F_RELATIVE_NODES = 1 << 14;
export const MPOL_F_NUMA_BALANCING = 1 << 13;

// seccomp(2), landlock(7)
export const SECCOMP_SET_MODE_FILTER = 1;
export const SECCOMP_FILTER_FLAG_TSYNC = 1;
export const SECCOMP_FILTER_FLAG_LOG = 2;
export const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4;
export const SECCOMP_FILTER_FLAG_NEW_LISTENER = 8;
export const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 0x20;
export const LANDLOCK_ACCESS_FS_EXECUTE = 1 << 0;
export const LANDLOCK_ACCESS_FS_WRITE_FILE = 1 << 1;
export const LANDLOCK_ACCESS_FS_READ_FILE = 1 << 2;
export const LANDLOCK_ACCESS_FS_READ_DIR = 1 << 3;
export const LANDLOCK_ACCESS_FS_REMOVE_DIR = 1 << 4;
export const LANDLOCK_ACCESS_FS_REMOVE_FILE = 1 << 5;
export const LANDLOCK_ACCESS_FS_MAKE_CHAR = 1 << 6;
export const LANDLOCK_ACCESS_FS_MAKE_DIR = 1 << 7;
export const LANDLOCK_ACCESS_FS_MAKE_REG = 1 << 8;
export const LANDLOCK_ACCESS_FS_MAKE_SOCK = 1 << 9;
export const LANDLOCK_ACCESS_FS_MAKE_FIFO = 1 << 10;
export const LANDLOCK_ACCESS_FS_MAKE_BLOCK = 1 << 11;
export const LANDLOCK_ACCESS_FS_MAKE_SYM = 1 << 12;
export const LANDLOCK_ACCESS_FS_REFER = 1 << 13;
export const LANDLOCK_ACCESS_FS_TRUNCATE = 1 << 14;
export const LANDLOCK_ACCESS_FS_IOCTL_DEV = 1 << 15;
export const LANDLOCK_RULE_PATH_BENEATH = 1;
