import { existsSync, readFileSync, statSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import type { HostFacts, IdentityFacts, KernelFacts, LsmFacts } from '../plan/base/facts.ts';
import type { Arch } from '../program/calls.ts';
import { readCgroupLayout } from './cgroup-layout.ts';

/**
 * Looks at this machine, once per command, as the process whose directory below /proc is `proc` sees it. Nothing is changed.
 *
 * Errors: `unsupported` on an architecture or kernel that tsrun does not know; `host` when /proc cannot be read.
 */
export function readHostFacts(proc: string): HostFacts {
  return {
    arch: readArch(),
    kernel: readKernel(),
    identity: readIdentity(proc),
    cgroup: readCgroupLayout(proc),
    lsm: readLsm(),
    namespaces: readNamespaces(proc),
  };
}

/** The architecture, as the programs know it. Errors: `unsupported`. */
export function readArch(): Arch {
  if (process.arch === 'x64') return 'x86-64';
  if (process.arch === 'arm64') return 'arm64';
  throw new TsrunError('unsupported', `this machine is ${process.arch}, wanted x64 or arm64`);
}

function readKernel(): KernelFacts {
  const release = readProc('/proc/sys/kernel/osrelease').trimEnd();
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  if (major < 5 || (major === 5 && minor < 10)) {
    throw new TsrunError('unsupported', `this kernel is ${release}, wanted Linux 5.10 or newer`);
  }
  return {
    version: [major, minor],
    mountSetattr: major > 5 || minor >= 12,
    lastCapability: Number.parseInt(readProc('/proc/sys/kernel/cap_last_cap'), 10),
    hasKcore: existsSync('/proc/kcore'),
  };
}

function readIdentity(proc: string): IdentityFacts {
  const status = readProc(`${proc}/status`);
  const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
  const effective = (name: string): number => Number.parseInt(field(name).split(/\s+/)[1] ?? '0', 10);
  return {
    euid: effective('Uid'),
    egid: effective('Gid'),
    effectiveCapabilities: field('CapEff'),
    inUserNamespace: !mapsEveryId(readProc(`${proc}/uid_map`)),
  };
}

/** The initial user namespace maps all 2^32 - 1 ids to themselves. */
function mapsEveryId(map: string): boolean {
  return /^\s*0\s+0\s+4294967295\s*$/.test(map);
}

function readLsm(): LsmFacts {
  const modules = readOptional('/sys/kernel/security/lsm')?.trim().split(',') ?? [];
  const apparmorEnabled = readOptional('/sys/module/apparmor/parameters/enabled')?.startsWith('Y') === true;
  return {
    apparmor: apparmorEnabled && (modules.length === 0 || modules.includes('apparmor')),
    selinux: modules.includes('selinux') || readOptional('/sys/fs/selinux/enforce') !== undefined,
  };
}

const NAMESPACE_FILES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'] as const;

/**
 * The namespaces of a process, by its directory below /proc: file name below `ns` -> inode number as decimal text. Those that the
 * kernel does not have are left out; all of them of a process that has ended. Errors: `host`.
 */
export function readNamespaces(directory: string): Record<string, string> {
  const namespaces: Record<string, string> = {};
  for (const name of NAMESPACE_FILES) {
    try {
      namespaces[name] = String(statSync(`${directory}/ns/${name}`, { bigint: true }).ino);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (!['ENOENT', 'ESRCH'].includes(code)) throw hostError(`look at namespace ${name}`, error);
    }
  }
  return namespaces;
}

function readProc(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw hostError(`read ${JSON.stringify(path)}`, error);
  }
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // What cannot be read is not there, as far as a fact about it goes.
    return undefined;
  }
}

function hostError(what: string, error: unknown): TsrunError {
  return TsrunError.of('host', what, error);
}
