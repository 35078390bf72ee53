import type { Arch } from '../../program/calls.ts';
import type { CgroupLayout } from './cgroup-layout.ts';

/**
 * What a planner needs to know about the machine, read once by `host/` and handed over as a value, so that the same plan can be
 * made in a test for a machine that is not there. Everything in it is plain JSON, but for big integers as decimal strings.
 */
export interface HostFacts {
  readonly arch: Arch;
  readonly kernel: KernelFacts;
  readonly identity: IdentityFacts;
  readonly cgroup: CgroupLayout;
  readonly lsm: LsmFacts;
  /** File name below /proc/self/ns (`mnt`, `net`, ...) -> inode number as a decimal string. */
  readonly namespaces: Readonly<Record<string, string>>;
}

/** What the running kernel can do, as far as plans differ by it. */
export interface KernelFacts {
  /** `[major, minor]` of uname -r. */
  readonly version: readonly [number, number];
  /** mount_setattr(2), since 5.12. */
  readonly mountSetattr: boolean;
  /** Highest capability number, from /proc/sys/kernel/cap_last_cap. */
  readonly lastCapability: number;
  /** There is a /proc/kcore. */
  readonly hasKcore: boolean;
}

/** Whom tsrun runs as, ids as its own user namespace shows them. */
export interface IdentityFacts {
  readonly euid: number;
  readonly egid: number;
  /** Effective capabilities as a mask in hexadecimal, as in /proc/self/status. */
  readonly effectiveCapabilities: string;
  /** True when tsrun itself runs in a user namespace that does not map every id. */
  readonly inUserNamespace: boolean;
}

/** Soft and hard limit of open files, RLIMIT_NOFILE; 2^64 - 1 is unlimited. */
export interface OpenFilesLimit {
  readonly soft: bigint;
  readonly hard: bigint;
}

/** Which security modules the kernel has switched on: labels and profiles are refused without theirs. */
export interface LsmFacts {
  readonly apparmor: boolean;
  readonly selinux: boolean;
}

/** What the host's file system says about the places that a bundle names. */
export interface BundleFacts {
  /** Absolute path of the bundle, symlinks resolved. */
  readonly bundle: string;
  /** Absolute path of the rootfs. */
  readonly rootfs: string;
  /** Mount point of the mount that the rootfs lies on; the rootfs itself when it is one. */
  readonly rootfsMountPoint: string;
  /** Absolute path of a bind source -> what lies there. */
  readonly sources: Readonly<Record<string, SourceKind>>;
  /** The same for those that lie inside the rootfs -> their path there, which may climb no higher. */
  readonly inRootfs?: Readonly<Record<string, string>>;
  /** The same for those that are symlinks and belong to mounts that do not follow them -> the text of the symlink. */
  readonly links?: Readonly<Record<string, string>>;
  /** Destination of a mount -> where it leads, for those behind a symlink to something that is not there (yet). */
  readonly danglingLinks: Readonly<Record<string, string>>;
  /** `deviceKey` of a device that the config lists -> a node of the host with this type and these numbers, where there is one. */
  readonly devices?: Readonly<Record<string, HostDevice>>;
  /** Path of a namespace to join -> its inode as a decimal string; `missing` when nothing is there. */
  readonly namespaces: Readonly<Record<string, string>>;
  /** Where a resctrl file system is mounted; absent where none is. */
  readonly resctrl?: string;
}

/** A device node of the host, to be bound where none can be made. */
export interface HostDevice {
  /** Absolute, symlinks resolved. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
}

/** What a bind source is, symlinks followed: a mount point of the same kind is made for it. `file` is all that is no directory. */
export type SourceKind = 'directory' | 'file' | 'missing';

/** Whether tsrun itself has a capability in the user namespace it runs in. */
export function holdsCapability({ identity }: HostFacts, number: number): boolean {
  return ((BigInt(`0x${identity.effectiveCapabilities}`) >> BigInt(number)) & 1n) === 1n;
}
