import { TsrunError } from '../errors.ts';
import { checked, lastErrno } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { bindLibc, loadKoffi } from './library.ts';

// include/uapi/linux/bpf.h
const BPF_PROG_LOAD = 5;
const BPF_PROG_ATTACH = 8;
const BPF_PROG_DETACH = 9;
const BPF_PROG_GET_FD_BY_ID = 13;
const BPF_OBJ_GET_INFO_BY_FD = 15;
const BPF_PROG_QUERY = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
const BPF_CGROUP_DEVICE = 6;
const BPF_F_ALLOW_MULTI = 2;
const BPF_F_REPLACE = 4;

/** Size of the attributes that are passed: up to prog_name of a kernel 5.10, which every command fits into. */
const ATTR_SIZE = 72;
/** Offset of prog_name in the attributes of BPF_PROG_LOAD, and of name in struct bpf_prog_info; both hold 16 bytes with NUL. */
const LOAD_NAME_OFFSET = 48;
const INFO_NAME_OFFSET = 64;
const INFO_SIZE = 80;
/** The kernel attaches at most this many to one cgroup (BPF_CGROUP_MAX_PROGS). */
const PROGRAMS_MAX = 64;
/** What the verifier may say about a refused program. */
const LOG_SIZE = 64 * 1024;

const syscall = bindLibc('long syscall(long number, ...)');
const SYS_BPF = process.arch === 'arm64' ? 280 : 321;

/**
 * Loads a BPF_PROG_TYPE_CGROUP_DEVICE program; `instructions` are struct bpf_insn, 8 bytes each.
 *
 * Errors: `host`; what the verifier says is in the message. Effects: needs CAP_BPF or CAP_SYS_ADMIN. Source: man 2 bpf.
 */
export function loadDeviceProgram(instructions: Uint8Array, name: string): OwnedFd {
  const code = Buffer.from(instructions);
  const license = Buffer.from('Apache-2.0\0');
  const log = Buffer.alloc(LOG_SIZE);
  const load = (logged: boolean): number => {
    const attr = Buffer.alloc(ATTR_SIZE);
    attr.writeUInt32LE(BPF_PROG_TYPE_CGROUP_DEVICE, 0);
    attr.writeUInt32LE(code.length / 8, 4);
    attr.writeBigUInt64LE(addressOf(code), 8);
    attr.writeBigUInt64LE(addressOf(license), 16);
    if (logged) {
      attr.writeUInt32LE(1, 24);
      attr.writeUInt32LE(log.length, 28);
      attr.writeBigUInt64LE(addressOf(log), 32);
    }
    attr.write(name.slice(0, 15), LOAD_NAME_OFFSET, 'latin1');
    return bpf(BPF_PROG_LOAD, attr);
  };
  // The log costs the kernel time: it is asked for only to explain a refusal.
  const fd = load(false);
  if (fd >= 0) return new OwnedFd(fd);
  const errno = lastErrno();
  if (errno === 'EPERM') throw TsrunError.of('host', 'load the device program', errno);
  load(true);
  const said = log.subarray(0, log.indexOf(0)).toString('latin1').trim();
  const verdict = said === '' ? '' : `: the verifier says ${JSON.stringify(said)}`;
  throw TsrunError.of('host', `load the device program${verdict}`, errno);
}

/**
 * Attaches a device program to a cgroup2 directory beside those of others (BPF_F_ALLOW_MULTI: all must allow), in the place of
 * `replaced` when there is one, without a moment in between.
 *
 * Errors: `host`. Source: include/uapi/linux/bpf.h, BPF_PROG_ATTACH; BPF_F_REPLACE since 5.6.
 */
export function attachDeviceProgram(cgroupFd: number, programFd: number, replacedFd?: number): void {
  const attr = attachAttributes(cgroupFd, programFd);
  attr.writeUInt32LE(replacedFd === undefined ? BPF_F_ALLOW_MULTI : BPF_F_ALLOW_MULTI | BPF_F_REPLACE, 12);
  if (replacedFd !== undefined) attr.writeUInt32LE(replacedFd, 16);
  checked(bpf(BPF_PROG_ATTACH, attr), 'attach the device program');
}

/** Takes a device program off a cgroup2 directory. Errors: `host`; `ENOENT` when it is not attached there. */
export function detachDeviceProgram(cgroupFd: number, programFd: number): void {
  checked(bpf(BPF_PROG_DETACH, attachAttributes(cgroupFd, programFd)), 'detach the device program');
}

/** The ids of the device programs attached to this very cgroup2 directory, not those above it. Errors: `host`. */
export function queryDevicePrograms(cgroupFd: number): number[] {
  const ids = Buffer.alloc(PROGRAMS_MAX * 4);
  const attr = Buffer.alloc(ATTR_SIZE);
  attr.writeUInt32LE(cgroupFd, 0);
  attr.writeUInt32LE(BPF_CGROUP_DEVICE, 4);
  attr.writeBigUInt64LE(addressOf(ids), 16);
  attr.writeUInt32LE(PROGRAMS_MAX, 24);
  checked(bpf(BPF_PROG_QUERY, attr), 'list the device programs');
  return Array.from({ length: attr.readUInt32LE(24) }, (_, index) => ids.readUInt32LE(index * 4));
}

/** Opens a loaded program by its id. Errors: `host`; `ENOENT` when it was unloaded meanwhile. Effects: needs CAP_SYS_ADMIN. */
export function openProgram(id: number): OwnedFd {
  const attr = Buffer.alloc(ATTR_SIZE);
  attr.writeUInt32LE(id, 0);
  return new OwnedFd(checked(bpf(BPF_PROG_GET_FD_BY_ID, attr), `open BPF program ${id}`));
}

/** The name that a program was loaded with, at most 15 bytes. Errors: `host`. */
export function readProgramName(programFd: number): string {
  const info = Buffer.alloc(INFO_SIZE);
  const attr = Buffer.alloc(ATTR_SIZE);
  attr.writeUInt32LE(programFd, 0);
  attr.writeUInt32LE(info.length, 4);
  attr.writeBigUInt64LE(addressOf(info), 8);
  checked(bpf(BPF_OBJ_GET_INFO_BY_FD, attr), 'read the name of a BPF program');
  const name = info.subarray(INFO_NAME_OFFSET);
  return name.subarray(0, name.indexOf(0)).toString('latin1');
}

function attachAttributes(cgroupFd: number, programFd: number): Buffer {
  const attr = Buffer.alloc(ATTR_SIZE);
  attr.writeUInt32LE(cgroupFd, 0);
  attr.writeUInt32LE(programFd, 4);
  attr.writeUInt32LE(BPF_CGROUP_DEVICE, 8);
  return attr;
}

function bpf(command: number, attr: Buffer): number {
  return syscall(SYS_BPF, 'int', command, 'void *', attr, 'uint', attr.length);
}

function addressOf(buffer: Buffer): bigint {
  return loadKoffi().address(buffer);
}
