import {
  AF_UNIX,
  LINUX_CAPABILITY_VERSION_3,
  MOUNT_ATTR__ATIME,
  O_CLOEXEC,
  POLLIN,
  SCM_RIGHTS,
  SOL_SOCKET,
} from '../util/constants.ts';
import { utf8 } from '../util/utf8.ts';
import { block, describePlace, wordBlock, type Shown } from './build.ts';
import { alignUp } from './bytes.ts';
import { capabilityNames, constantName, flagNames, signalNames } from './constant-names.ts';
import type { Block, Place, Region } from './step.ts';

/** The structures of the kernel that programs pass, a function each. */

/**
 * struct open_how, with O_CLOEXEC: u64 flags, mode, resolve (man 2 openat2). The encoder translates flags that arm64 numbers differently.
 */
export function openHow({ flags, resolve }: { readonly flags: number; readonly resolve: number }): Block {
  const all = flags | O_CLOEXEC;
  return wordBlock(
    [all, 0, resolve],
    () => `{flags=${flagNames(all, 'O_')}, resolve=${flagNames(resolve, 'RESOLVE_')}}`,
  );
}

/** Bytes of struct open_how, the `size` of openat2(2). */
export const OPEN_HOW_SIZE = 24;

/** struct mount_attr: u64 attr_set, attr_clr, propagation, userns_fd (man 2 mount_setattr). */
export function mountAttr(attr: {
  readonly set?: number;
  readonly clear?: number;
  readonly propagation?: number;
  readonly usernsFd?: number;
}): Block {
  const { set = 0, clear = 0, propagation = 0, usernsFd = 0 } = attr;
  const shown = (): string[] => [
    ...(set === 0 ? [] : [`attr_set=${flagNames(set, 'MOUNT_ATTR_')}`]),
    ...(clear === 0 ? [] : [`attr_clr=${clearedNames(clear)}`]),
    ...(propagation === 0 ? [] : [`propagation=${flagNames(propagation, 'MS_')}`]),
    ...(attr.usernsFd === undefined ? [] : [`userns_fd=${usernsFd}`]),
  ];
  return wordBlock([set, clear, propagation, usernsFd], () => `{${shown().join(', ')}}`);
}

/** The times of access are a field, whose mask has a name of its own. */
function clearedNames(clear: number): string {
  if ((clear & MOUNT_ATTR__ATIME) !== MOUNT_ATTR__ATIME) return flagNames(clear, 'MOUNT_ATTR_');
  const rest = clear & ~MOUNT_ATTR__ATIME;
  return ['MOUNT_ATTR__ATIME', ...(rest === 0 ? [] : [flagNames(rest, 'MOUNT_ATTR_')])].join('|');
}

/** Bytes of struct mount_attr, the `size` of mount_setattr(2). */
export const MOUNT_ATTR_SIZE = 32;

/**
 * struct clone_args, eleven u64: flags first, the signal at its end fifth, the cgroup's descriptor last. Without a signal it tells its
 * parent nothing (man 2 clone3).
 */
export function cloneArgs(flags: bigint, { exitSignal = 0 }: { readonly exitSignal?: number } = {}): Block {
  const signal = (): string => (exitSignal === 0 ? '' : `, exit_signal=${signalNames([exitSignal])}`);
  const values = [flags, 0, 0, 0, exitSignal, 0, 0, 0, 0, 0, 0];
  return wordBlock(values, () => `{flags=${flagNames(flags, 'CLONE_')}${signal()}}`);
}

/** Bytes of struct clone_args with the cgroup's descriptor, which Linux 5.7 has added: the `size` of clone3(2). */
export const CLONE_ARGS_SIZE = 88;
/** Where struct clone_args has the descriptor of the cgroup. */
export const CLONE_ARGS_CGROUP = 80;

/** struct ifreq with flags: char name[16], i16 flags, padded to 40 bytes (man 7 netdevice). */
export function ifreqFlags(name: string, flags: number, shown: string): Block {
  const bytes = new Uint8Array(40);
  bytes.set(utf8(name));
  new DataView(bytes.buffer).setInt16(16, flags, true);
  return block(bytes, `{name=${JSON.stringify(name)}, flags=${shown}}`);
}

/** gid_t[]: u32 each (man 2 setgroups). */
export function gidList(groups: readonly number[]): Block {
  const bytes = new Uint8Array(Uint32Array.from(groups).buffer);
  return block(bytes, () => `[${groups.join(', ')}]`);
}

/** struct __user_cap_header_struct: u32 version, i32 pid, 0 is the caller (man 2 capset). */
export function capHeader(): Block {
  return block(
    new Uint8Array(Uint32Array.of(LINUX_CAPABILITY_VERSION_3, 0).buffer),
    '{version=_LINUX_CAPABILITY_VERSION_3, pid=0}',
  );
}

/** Sets of capability numbers. */
export interface CapSets {
  readonly effective: ReadonlySet<number>;
  readonly permitted: ReadonlySet<number>;
  readonly inheritable: ReadonlySet<number>;
}

/** struct __user_cap_data_struct[2]: u32 effective, permitted, inheritable; first the capabilities below 32 (man 2 capset). */
export function capData({ effective, permitted, inheritable }: CapSets): Block {
  const sets = [effective, permitted, inheritable];
  const masks = sets.map((numbers) => [...numbers].reduce((mask, number) => mask | (1n << BigInt(number)), 0n));
  const halves = [0n, 32n].flatMap((shift) => masks.map((mask) => Number((mask >> shift) & 0xffff_ffffn)));
  const bytes = new Uint8Array(Uint32Array.from(halves).buffer);
  return block(bytes, () => {
    const [e, p, i] = sets.map((numbers) => capabilityNames([...numbers].sort((a, b) => a - b)));
    return `{effective=${e}, permitted=${p}, inheritable=${i}}`;
  });
}

/** struct landlock_ruleset_attr: u64 handled_access_fs, as the first version of it (man 2 landlock_create_ruleset). */
export function landlockRulesetAttr(handled: number): Block {
  return wordBlock([handled], () => `{handled_access_fs=${flagNames(handled, 'LANDLOCK_ACCESS_FS_')}}`);
}

/**
 * struct landlock_path_beneath_attr, packed: u64 allowed_access, s32 parent_fd, which a step is to write (man 2 landlock_add_rule).
 * The kernel does not look at the four bytes behind.
 */
export function landlockPathBeneathAttr(allowed: number): Block {
  return wordBlock([allowed, 0], () => `{allowed_access=${flagNames(allowed, 'LANDLOCK_ACCESS_FS_')}, parent_fd}`);
}

/** Where struct landlock_path_beneath_attr has the descriptor. */
export const PATH_BENEATH_PARENT = 8;

/** The members of struct sched_attr that config.json has: `policy` is SCHED_*, `flags` are SCHED_FLAG_*, `nice` is -20 to 19. */
export interface SchedAttr {
  readonly policy: number;
  readonly flags: number;
  readonly nice: number;
  readonly priority: number;
  /** Nanoseconds, as the next two. */
  readonly runtime: number | bigint;
  readonly deadline: number | bigint;
  readonly period: number | bigint;
}

const SCHED_ATTR_SIZE = 56;

/**
 * struct sched_attr, version 1: u32 size, policy, u64 flags, i32 nice, u32 priority, u64 runtime, deadline and period, u32 util_min,
 * util_max (man 2 sched_setattr).
 */
export function schedAttr({ policy, flags, nice, priority, runtime, deadline, period }: SchedAttr): Block {
  const bytes = new Uint8Array(SCHED_ATTR_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, SCHED_ATTR_SIZE, true);
  view.setUint32(4, policy, true);
  view.setBigUint64(8, BigInt(flags), true);
  view.setInt32(16, nice, true);
  view.setUint32(20, priority, true);
  [runtime, deadline, period].forEach((time, index) => {
    view.setBigUint64(24 + index * 8, BigInt(time), true);
  });
  return block(bytes, () => {
    const times = `runtime=${runtime}, deadline=${deadline}, period=${period}`;
    const shown = `${constantName(policy, 'SCHED_')}, flags=${flagNames(flags, 'SCHED_FLAG_')}`;
    return `{${shown}, nice=${nice}, priority=${priority}, ${times}}`;
  });
}

/** sigset_t as the kernel has it, a u64: bit n - 1 is the signal n (man 2 rt_sigprocmask). */
export function signalSet(signals: readonly number[]): Block {
  const set = signals.reduce((bits, signal) => bits | (1n << BigInt(signal - 1)), 0n);
  return wordBlock([set], () => `[${signalNames(signals)}]`);
}

/** Bytes of a sigset_t. */
export const SIGNAL_SET_SIZE = 8;
/** Bytes of struct signalfd_siginfo, whose first u32 is the number of the signal (man 2 signalfd). */
export const SIGNALFD_INFO_SIZE = 128;
/** siginfo_t. */
export const SIGINFO_SIZE = 128;

/** struct pollfd[]: i32 descriptor, i16 events, i16 revents, for what can be read (man 2 poll). */
export function pollfds(descriptors: readonly number[], shown: readonly string[]): Block {
  const bytes = new Uint8Array(descriptors.length * POLLFD_SIZE);
  const view = new DataView(bytes.buffer);
  descriptors.forEach((descriptor, index) => {
    view.setInt32(index * POLLFD_SIZE, descriptor, true);
    view.setInt16(index * POLLFD_SIZE + 4, POLLIN, true);
  });
  return block(bytes, `[${shown.map((name) => `{${name}, POLLIN}`).join(', ')}]`);
}

/** Bytes of struct pollfd. */
export const POLLFD_SIZE = 8;
/** Where a struct pollfd, taken as a word, has its revents: the first of so many bits. */
export const REVENTS_SHIFT = 48n;

/** struct timespec, or timeval: i64 seconds, and a part of a second (man 2 nanosleep, man 7 socket). */
export function seconds(count: number): Block {
  return wordBlock([count, 0], `{${count} s}`);
}

/** Bytes of struct timespec or timeval. */
export const TIME_SIZE = 16;

/** struct winsize: u16 rows, columns, and two unused (man 2 ioctl_tty). */
export function winsize({ rows, columns }: { readonly rows: number; readonly columns: number }): Block {
  const bytes = new Uint8Array(Uint16Array.of(rows, columns, 0, 0).buffer);
  return block(bytes, `{${rows} rows, ${columns} columns}`);
}

/** struct rlimit64: u64 soft, hard (man 2 prlimit). */
export function rlimit64({ soft, hard }: { readonly soft: bigint; readonly hard: bigint }): Block {
  return wordBlock([soft, hard], `{${soft}, ${hard}}`);
}

/** struct sock_fprog: u16 length, padded to 8 bytes, and the address of the instructions (man 2 seccomp). */
export function sockFprog(instructions: Uint8Array, shown: string): Block {
  return wordBlock([instructions.length / 8, block(instructions, `{${shown}}`)], `{${shown}}`);
}

/** struct ucred for the kernel to fill: i32 pid, u32 uid, u32 gid, and room to read the last two as words (man 7 unix). */
export function ucred(shown: string): Block {
  return block(new Uint8Array(16), shown);
}

/** Bytes of struct ucred that the kernel fills: the length that SO_PEERCRED takes. */
export const UCRED_SIZE = 12;

/** struct sockaddr_un: u16 family, then the path, which ends in NUL (man 7 unix). */
export function unixAddress(path: string): Block {
  return block(Uint8Array.of(AF_UNIX, 0, ...utf8(`${path}\0`)), () => JSON.stringify(path));
}

/** A part of a vector: a text or structure with its size, or the value of a word or buffer. */
export interface IovecPart {
  readonly of: Block | Region | Place;
  readonly size: number;
}

/** struct iovec[]: pointer and length of each part (man 2 writev). */
export function iovec(parts: readonly IovecPart[]): Block {
  const values = parts.flatMap(({ of, size }) => {
    if (of.kind === 'place') throw new Error(`bug: ${describePlace(of)} cannot be linked to`);
    return [of, size];
  });
  const shown = (): string[] => parts.map(({ of }) => (of.kind === 'block' ? of.text : describePlace(of)));
  return wordBlock(values, () => `[${shown().join(', ')}]`);
}

/** Where struct cmsghdr has its first descriptor. */
export const CMSG_DATA = 16;

/** Bytes of a control message with so many descriptors, without the padding. */
export function cmsgLength(descriptors: number): number {
  return CMSG_DATA + descriptors * 4;
}

/**
 * struct cmsghdr: u64 length, i32 level, i32 type, then the descriptors as i32, padded to 8 bytes (man 3 cmsg). `room`: bytes behind
 * them, for a step that writes 8 bytes where the last descriptor is.
 */
export function cmsgRights(numbers: readonly number[], shown: string, room = 0): Block {
  const bytes = new Uint8Array(alignUp(cmsgLength(numbers.length) + room));
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(cmsgLength(numbers.length)), true);
  view.setInt32(8, SOL_SOCKET, true);
  view.setInt32(12, SCM_RIGHTS, true);
  numbers.forEach((number, index) => {
    view.setInt32(CMSG_DATA + index * 4, number, true);
  });
  return block(bytes, shown);
}

/**
 * struct msghdr: name, namelen, iov, iovlen, control, controllen, flags (man 2 sendmsg). `controlSize` says how much of `control` counts.
 */
export function msghdr(
  vector: Block,
  control: Block | undefined,
  options: { shown: Shown; controlSize?: number },
): Block {
  const size = options.controlSize ?? control?.bytes.length ?? 0;
  return wordBlock([0, 0, vector, vector.bytes.length / 16, control ?? 0, size, 0], options.shown);
}
