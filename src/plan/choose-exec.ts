import type { Config } from '../spec/generated/config.ts';
import type { HostFacts, OpenFilesLimit } from './base/facts.ts';
import { planSubCgroups, type ContainerCgroup, type SubCgroup } from './cgroup/sub-cgroup.ts';
import type { BusName } from './cgroup/plan.ts';
import { planExec, type ExecPlan } from './exec.ts';
import { differingNamespaces } from './namespaces/exec-namespaces.ts';
import { HANDED_NAMESPACES, type NamespaceFile } from './namespaces/hand-out.ts';
import type { CompiledSeccomp } from './seccomp/load.ts';

/** A container in which a further process is to run, and what was found out about it. */
export interface EntryInput {
  /** What is remembered of it. */
  readonly container: {
    readonly id: string;
    readonly bundle: string;
    readonly rootfs: string;
    readonly isChrooted: boolean;
    readonly cgroup: { readonly directories: readonly ContainerCgroup[]; readonly unit?: { readonly bus: BusName } };
  };
  /** With the further process in the place of the container's own. */
  readonly config: Config;
  readonly host: HostFacts;
  /** Namespaces of its init: file name below /proc/PID/ns -> inode number as decimal text. */
  readonly inodes: Readonly<Record<string, string>>;
  /** Of which of them there are handles, where init had to be asked for them. */
  readonly handed: readonly NamespaceFile[] | undefined;
  /** The cgroup2 directory that its init is in, absolute; undefined where that cannot be told, or the container has none. */
  readonly initUnified?: string | undefined;
  readonly options: {
    readonly preserveFds: number;
    readonly detach: boolean;
    readonly subCgroups?: readonly SubCgroup[];
    readonly openFiles?: OpenFilesLimit;
  };
  readonly seccomp: CompiledSeccomp | undefined;
}

/** Decides everything about a further process. Errors: `config`, `unsupported`, `cgroup`. */
export function planEntry(input: EntryInput): ExecPlan {
  const { container, config, host, inodes, options, seccomp } = input;
  const { preserveFds, detach, subCgroups, openFiles } = options;
  const { id, bundle, rootfs, isChrooted, cgroup } = container;
  // An ordinary user may not move a process from a session into a unit; the user's systemd may.
  const attachesToUnit = cgroup.unit?.bus === 'user';
  const handles = neededHandles(input);
  return planExec({
    id,
    config,
    host,
    bundle: { bundle, rootfs, rootfsMountPoint: '/', sources: {}, danglingLinks: {}, namespaces: {} },
    options: {
      noPivot: false,
      noNewKeyring: false,
      preserveFds,
      lendsStdio: !detach,
      ...(openFiles && { openFiles }),
    },
    process: config.process ?? { cwd: '/' },
    differing: differingNamespaces(inodes, host.namespaces),
    ...(handles && { handles: handles.map((file) => HANDED_NAMESPACES[file]) }),
    cgroup: attachesToUnit && subCgroups === undefined ? [] : planSubCgroups(withFallback(input), subCgroups ?? []),
    attachesToUnit,
    changeRoot: isChrooted,
    ...(seccomp === undefined ? {} : { seccomp }),
  });
}

/** Those of the namespaces that were handed out which have to be joined, in the order in which the plan wants their handles. */
export function neededHandles({
  inodes,
  handed,
  host,
}: Pick<EntryInput, 'inodes' | 'handed' | 'host'>): NamespaceFile[] | undefined {
  return handed?.filter((file) => inodes[file] !== host.namespaces[file]);
}

/**
 * The container's cgroups. Its init may have moved to one below and have handed on the controllers: no process can join the
 * container's cgroup2 directory then, and the one of init stands in.
 */
function withFallback({ container, initUnified }: EntryInput): ContainerCgroup[] {
  return container.cgroup.directories.map((directory) => {
    // Only below: init may be in the cgroup of somebody else, who moved it there.
    const isBelow = directory.kind === 'v2' && initUnified?.startsWith(`${directory.hostPath}/`) === true;
    return isBelow ? { ...directory, fallback: initUnified } : directory;
  });
}
