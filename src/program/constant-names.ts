import { capabilityNumbers } from '../util/capability-names.ts';
import * as constants from '../util/constants.ts';
import { SIGNALS } from '../util/signals.ts';
import type { ArgumentKind, FlagSet, NameSet } from './calls.ts';

/** Constants in the order of their names: the order of a module's exports is not the same once it is bundled. */
type Names = readonly (readonly [name: string, value: bigint])[];

/** Made when it is first looked at: most commands print no program. */
const lazily = (make: () => Names): (() => Names) => {
  let names: Names | undefined;
  return () => (names ??= make());
};

const all = lazily(() =>
  Object.entries(constants)
    .map(([name, value]) => [name, BigInt(value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1)),
);

/** The constants that an argument means; where two share a value, the ones that it does not mean are left out. */
function select(pattern: RegExp, except: RegExp = /^$/): () => Names {
  return lazily(() => all().filter(([name, value]) => pattern.test(name) && !except.test(name) && value >= 0n));
}

/** Bits; O_RDONLY and its like have none and are named by what uses them. */
const FLAGS: Record<FlagSet, () => Names> = {
  AT_: select(/^AT_/, /^AT_EACCESS$/),
  AT_E: select(/^AT_/, /^AT_REMOVEDIR$/),
  CLONE_: select(/^CLONE_/),
  CLOSE_RANGE_: select(/^CLOSE_RANGE_/),
  FD_: select(/^FD_/),
  FSMOUNT_: select(/^FSMOUNT_/),
  FSOPEN_: select(/^FSOPEN_/),
  KEY_: select(/^KEY_/),
  LANDLOCK_ACCESS_FS_: select(/^LANDLOCK_ACCESS_FS_/),
  MNT_: select(/^MNT_/),
  // MOUNT_ATTR__ATIME is the mask of a field, not a flag.
  MOUNT_ATTR_: select(/^MOUNT_ATTR_/, /__/),
  MOVE_MOUNT_: select(/^MOVE_MOUNT_/),
  MSG_: select(/^MSG_/),
  MS_: select(/^MS_/),
  OPEN_TREE_: select(/^OPEN_TREE_|^AT_(EMPTY_PATH|RECURSIVE|SYMLINK_NOFOLLOW)$/),
  O_: select(/^O_/),
  O_CLOEXEC: select(/^O_(CLOEXEC|NONBLOCK)$/),
  RESOLVE_: select(/^RESOLVE_/),
  SCHED_FLAG_: select(/^SCHED_FLAG_/),
  SECCOMP_FILTER_FLAG_: select(/^SECCOMP_FILTER_FLAG_/),
  SOCK_: select(/^SOCK_(CLOEXEC|NONBLOCK)$/),
  STATX_: select(/^STATX_/),
};

const NAMES: Record<NameSet, () => Names> = {
  AF_: select(/^AF_/),
  CAP_: lazily(() => [...capabilityNumbers].map(([name, number]) => [name, BigInt(number)] as const)),
  CLOCK_: select(/^CLOCK_/),
  FSCONFIG_: select(/^FSCONFIG_/),
  F_: select(/^F_/, /^F_SEAL_/),
  IOCTL: select(/^(TIOC|SIOC)/),
  IOPRIO_WHO_: select(/^IOPRIO_WHO_/),
  KEYCTL_: select(/^KEYCTL_/),
  LANDLOCK_RULE_: select(/^LANDLOCK_RULE_/),
  PER_: select(/^PER_/),
  PR_: select(/^PR_/, /^PR_CAP_AMBIENT_/),
  PR_CAP_AMBIENT_: select(/^PR_CAP_AMBIENT_/),
  RLIMIT_: select(/^RLIMIT_/),
  SCHED_: select(/^SCHED_/, /^SCHED_FLAG_/),
  SECCOMP_SET_: select(/^SECCOMP_SET_/),
  SHUT_: select(/^SHUT_/),
  SIG_: select(/^SIG_/),
  SOL_: select(/^SOL_/),
  SO_: select(/^SO_/),
};

const SOCKET_TYPES = select(/^SOCK_(STREAM|RAW|DGRAM|SEQPACKET)$/);
const SOCKET_TYPE_MASK = 0xfn;
const FILE_TYPES = select(/^S_IF/, /^S_IFMT$/);
const ACCESS_MODES = select(/^[RWX]_OK$/);
const POLICY_MODES = select(/^MPOL_/, /^MPOL_F_/);
const POLICY_FLAGS = select(/^MPOL_F_/);
const IO_CLASSES = select(/^IOPRIO_CLASS_/, /_SHIFT$/);
const SIGNAL_NAMES = lazily(() =>
  Object.entries(SIGNALS).map(([name, number]) => [`SIG${name}`, BigInt(number)] as const),
);
const UNSIGNED_MAX = 0xffff_ffffn;

/** A number as the names of its flags, `MS_NOSUID|MS_NODEV`; what has no name follows in hexadecimal. */
export function flagNames(value: number | bigint, set: FlagSet): string {
  const bits = BigInt(value);
  // The access mode is a number in two bits; a handle that is O_PATH has none.
  const isReadOnly = set === 'O_' && (bits & BigInt(constants.O_PATH | 3)) === 0n;
  return joinFlags(bits, FLAGS[set](), isReadOnly ? ['O_RDONLY'] : []);
}

/** A number as the constant that it is; one without a name stays a number. */
export function constantName(value: number | bigint, set: NameSet): string {
  return nameIn(NAMES[set](), BigInt(value)) ?? `0x${value.toString(16)}`;
}

/** A set of capabilities as capabilities(7) names them: `CAP_CHOWN|CAP_KILL`. */
export function capabilityNames(numbers: Iterable<number>): string {
  return [...numbers].map((number) => nameIn(NAMES.CAP_(), BigInt(number)) ?? `${number}`).join('|') || '0';
}

/** Signals by their names, `SIGINT, SIGTERM`. */
export function signalNames(signals: readonly number[]): string {
  return signals.map((signal) => nameIn(SIGNAL_NAMES(), BigInt(signal)) ?? `${signal}`).join(', ');
}

/** A number in the form of what it is. */
export function printNumber(value: bigint, kind: ArgumentKind): string {
  if (kind.startsWith('flags:')) return flagNames(value, kind.slice('flags:'.length) as FlagSet);
  if (kind.startsWith('name:')) return constantName(value, kind.slice('name:'.length) as NameSet);
  return FORMS[kind as keyof typeof FORMS](value);
}

const FORMS: Record<Exclude<ArgumentKind, `flags:${string}` | `name:${string}`>, (value: bigint) => string> = {
  // Decimal, except for numbers so large that they can only be bits.
  int: (value) => (value >= 1n << 32n ? `0x${value.toString(16)}` : `${value}`),
  fd: (value) => (value === BigInt(constants.AT_FDCWD) ? 'AT_FDCWD' : `${value}`),
  'last descriptor': (value) => (value === UNSIGNED_MAX ? '~0U' : `${value}`),
  id: (value) => (value === UNSIGNED_MAX ? '-1' : `${value}`),
  mode: printMode,
  'access mode': (value) => (value === 0n ? 'F_OK' : joinFlags(value, ACCESS_MODES())),
  device: printDevice,
  signal: (value) => nameIn(SIGNAL_NAMES(), value) ?? `${value}`,
  text: printPointer,
  pointer: printPointer,
  written: printPointer,
  changed: printPointer,
  'socket type': (value) => {
    const type = value & SOCKET_TYPE_MASK;
    return joinFlags(value & ~SOCKET_TYPE_MASK, FLAGS.SOCK_(), [nameIn(SOCKET_TYPES(), type) ?? `${type}`]);
  },
  // The signal at the end of the new process is in the lowest byte.
  'clone flags': (value) => {
    const signal = value & 0xffn;
    return joinFlags(
      value & ~0xffn,
      FLAGS.CLONE_(),
      signal === 0n ? [] : [nameIn(SIGNAL_NAMES(), signal) ?? `${signal}`],
    );
  },
  'memory policy': (value) => {
    const flags = POLICY_FLAGS().reduce((all, [, bit]) => all | bit, 0n);
    return joinFlags(value & flags, POLICY_FLAGS(), [nameIn(POLICY_MODES(), value & ~flags) ?? `${value & ~flags}`]);
  },
  'io priority': (value) => {
    const shift = BigInt(constants.IOPRIO_CLASS_SHIFT);
    const name = nameIn(IO_CLASSES(), value >> shift) ?? `${value >> shift}`;
    return `IOPRIO_PRIO_VALUE(${name}, ${value & ((1n << shift) - 1n)})`;
  },
};

function printMode(value: bigint): string {
  if (value === 0n) return '0';
  const type = nameIn(FILE_TYPES(), value & BigInt(constants.S_IFMT));
  const permissions = type === undefined ? value : value & ~BigInt(constants.S_IFMT);
  return `${type === undefined ? '' : `${type}|`}0${permissions.toString(8)}`;
}

/** In the form of new_encode_dev() of include/linux/kdev_t.h. */
function printDevice(value: bigint): string {
  if (value === 0n) return '0';
  return `makedev(${(value >> 8n) & 0xfffn}, ${(value & 0xffn) | ((value >> 12n) & 0xfff00n)})`;
}

function printPointer(value: bigint): string {
  return value === 0n ? 'NULL' : `0x${value.toString(16)}`;
}

function nameIn(names: Names, value: bigint): string | undefined {
  return names.find(([, known]) => known === value)?.[0];
}

/** The names that are known already stand in front. Larger sets of bits win over the flags that they are made of. */
function joinFlags(value: bigint, names: Names, known: readonly string[] = []): string {
  if (value < 0n) return `${value}`;
  const parts = [...known];
  let rest = value;
  for (const [name, bits] of names) {
    if (bits === 0n || (rest & bits) !== bits) continue;
    parts.push(name);
    rest &= ~bits;
  }
  if (rest !== 0n || parts.length === 0) parts.push(rest === 0n ? '0' : `0x${rest.toString(16)}`);
  return parts.join('|');
}
