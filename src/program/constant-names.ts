import * as constants from '../util/constants.ts';
import type { CallName, ParameterKind } from './calls.ts';

/** Constants in the order of their names: the order of a module's exports is not the same once it is bundled. */
type Names = readonly (readonly [name: string, value: bigint])[];

const ALL: Names = Object.entries(constants)
  .map(([name, value]) => [name, BigInt(value)] as const)
  .sort(([a], [b]) => (a < b ? -1 : 1));

/** The constants of a parameter; where two share a value, the ones that this parameter does not mean are left out. */
function select(pattern: RegExp, except: RegExp = /^$/): Names {
  return ALL.filter(([name, value]) => pattern.test(name) && !except.test(name) && value >= 0n);
}

const FLAGS: Record<Extract<ParameterKind, `flags:${string}`>, Names> = {
  'flags:MS_': select(/^MS_/),
  'flags:MNT_': select(/^MNT_/),
  'flags:O_': select(/^O_/),
  'flags:AT_': select(/^AT_/, /^AT_EACCESS$/),
  'flags:CLONE_': select(/^CLONE_/),
  'flags:OPEN_TREE_': select(/^OPEN_TREE_|^AT_(EMPTY_PATH|RECURSIVE|SYMLINK_NOFOLLOW)$/),
  'flags:MOVE_MOUNT_': select(/^MOVE_MOUNT_/),
  // MOUNT_ATTR__ATIME is the mask of a field, not a flag.
  'flags:MOUNT_ATTR_': select(/^MOUNT_ATTR_/, /__/),
  'flags:SOCK_': select(/^SOCK_(CLOEXEC|NONBLOCK)$/),
};
const ACCESS_FLAGS = select(/^AT_/, /^AT_REMOVEDIR$/);
const SOCKET_TYPES = select(/^SOCK_(STREAM|DGRAM|SEQPACKET)$/);
const SOCKET_TYPE_MASK = 0xfn;

const NAMES: Record<Extract<ParameterKind, `name:${string}`>, Names> = {
  'name:PR_': select(/^PR_/, /^PR_CAP_AMBIENT_/),
  'name:FSCONFIG_': select(/^FSCONFIG_/),
  'name:IOCTL': select(/^(TIOC|SIOC)/),
};

/** A number as the names of its flags, `MS_NOSUID|MS_NODEV`; what has no name follows in hexadecimal. */
export function flagNames(value: bigint, kind: keyof typeof FLAGS, call: CallName): string {
  if (value < 0n) return `${value}`;
  const parts: string[] = [];
  let rest = value;
  if (kind === 'flags:SOCK_' && call === 'socket') {
    const type = value & SOCKET_TYPE_MASK;
    parts.push(SOCKET_TYPES.find(([, wanted]) => wanted === type)?.[0] ?? `${type}`);
    rest &= ~SOCKET_TYPE_MASK;
  }
  if (call === 'openat' && (value & BigInt(constants.O_PATH | 3)) === 0n) parts.push('O_RDONLY');
  for (const [name, bits] of call === 'faccessat2' ? ACCESS_FLAGS : FLAGS[kind]) {
    if (bits === 0n || (rest & bits) !== bits) continue;
    parts.push(name);
    rest &= ~bits;
  }
  if (rest !== 0n || parts.length === 0) parts.push(rest === 0n ? '0' : `0x${rest.toString(16)}`);
  return parts.join('|');
}

/** A number as the constant that it is; one without a name stays a number. */
export function constantName(value: bigint, kind: keyof typeof NAMES): string {
  return NAMES[kind].find(([, known]) => known === value)?.[0] ?? `0x${value.toString(16)}`;
}
