import type { Memory, Region } from '../../program/step.ts';
import type { Config } from '../../spec/generated/config.ts';
import type { BundleFacts, HostFacts, OpenFilesLimit } from './facts.ts';
import type { OverlayLayers } from './layers.ts';

/** What every planner of a container's set-up is given. */
export interface PlanContext {
  readonly id: string;
  readonly config: Config;
  readonly host: HostFacts;
  readonly bundle: BundleFacts;
  readonly options: PlanOptions;
  /** Descriptor numbers of init that are fixed from its start. */
  readonly descriptors: DescriptorNumbers;
  /** Words of init's memory; one allocator for the whole conversation. Handles of a few steps are on its stack: `withHandle`. */
  readonly memory: Memory;
  /** Words that several planners share. */
  readonly slots: SharedSlots;
  /** Things a person should know but that do not stop the container; the caller logs them. */
  readonly warnings: string[];
}

/** What the caller of the runtime decides about a container and config.json does not. */
export interface PlanOptions {
  /** MS_MOVE and chroot in place of pivot_root. */
  readonly noPivot: boolean;
  /** Keep the caller's session keyring. */
  readonly noNewKeyring: boolean;
  /** How many descriptors from 3 upwards go to the container's program. */
  readonly preserveFds: number;
  /** Limit of open files where the config sets none. Default: that of the process which starts init. */
  readonly openFiles?: OpenFilesLimit;
  /** Descriptors 0, 1 and 2 are the caller's own, who waits in the foreground. Default: made for the container. */
  readonly lendsStdio?: boolean;
  /** The root file system is a layer over the rootfs. */
  readonly overlay?: OverlayLayers;
  /** Init is going to wait for `start`, and nobody of tsrun with it. */
  readonly waitsForStart?: boolean;
  /** The parent connects the new network namespace, at the exchange `network`. */
  readonly isConnected?: boolean;
}

/** Numbers of descriptors in init, all behind those of the program (0 to 2 and the preserved ones); -1 for one that is not there. */
export interface DescriptorNumbers {
  /** First descriptor behind those of the program. */
  readonly sync: number;
  /** Where init listens once the container is created. */
  readonly listener: number;
  /** Two that are free for a moment's use where a number must be known in advance. */
  readonly scratch: readonly [number, number];
  /** The first of the user namespaces whose id maps idmapped mounts use, in the order of `planIdmapNamespaces`. */
  readonly idmaps: number;
}

/**
 * Words of init's memory that hold handles (descriptors, or a negative errno) that more than one program uses, and answers, each
 * overwritten by its next user.
 */
export interface SharedSlots {
  /** O_PATH handle of the container's root mount. */
  readonly root: Region;
  /** Handle of a proc file system that only this process has; all writes below /proc go through it. */
  readonly proc: Region;
  /** Handle of the directory below a tmpfs; when that is closed, it still tells whether one was there. */
  readonly existed: Region;
  /** Result of a call that makes no descriptor, for the steps behind it. */
  readonly answer: Region;
  /** struct statx of the latest look at a file, 256 bytes. */
  readonly stat: Region;
}

/** Allocates the words that all planners of one conversation share. */
export function allocateSharedSlots(memory: Memory): SharedSlots {
  return {
    root: memory.word('root'),
    proc: memory.word('proc'),
    existed: memory.word('existed'),
    answer: memory.word('answer'),
    stat: memory.buffer('stat', 256),
  };
}

/** The numbers behind the program's own descriptors: 0, 1, 2 and those it preserves. */
export function descriptorNumbers(preserveFds: number): DescriptorNumbers {
  const first = 3 + preserveFds;
  return { sync: first, listener: first + 1, scratch: [first + 2, first + 3], idmaps: first + 4 };
}

/** Whether the container has a namespace of this type of its own, new or joined. */
export function findNamespace(
  config: Config,
  type: string,
): { readonly type: string; readonly path?: string } | undefined {
  return config.linux?.namespaces?.find((namespace) => namespace.type === type);
}

/** True when a namespace of this type is made for the container. */
export function hasNewNamespace(config: Config, type: string): boolean {
  const namespace = findNamespace(config, type);
  return namespace !== undefined && (namespace.path ?? '') === '';
}
