import type { Stats } from '../../plan/cgroup/stats.ts';
import type { CgroupReference } from '../../cgroup/cgroup.ts';
import type { NetworkInterface } from '../../host/network-interfaces.ts';
import type { Log } from '../../log.ts';
import type { OpenFilesLimit } from '../../plan/base/facts.ts';
import type { SubCgroup } from '../../plan/cgroup/sub-cgroup.ts';
import type { DumpOptions, RestoreSettings } from '../../plan/checkpoint/options.ts';
import type { NetworkChoice } from '../../plan/network/choice.ts';
import type { ProcessChange } from '../../plan/exec-process.ts';
import type { Mount, Resources } from '../../spec/generated/config.ts';
import type { OverlaySettings } from '../../spec/overlay.ts';
import type { OwnedFd } from '../../sys/fd.ts';

export type { SubCgroup } from '../../plan/cgroup/sub-cgroup.ts';
export type {
  CgroupsMode,
  DumpOptions,
  ImageOptions,
  NetworkLock,
  RestoreSettings,
} from '../../plan/checkpoint/options.ts';
export type { ProcessChange } from '../../plan/exec-process.ts';
export type { NetworkChoice, PublishedPort } from '../../plan/network/choice.ts';
export type { OverlaySettings } from '../../spec/overlay.ts';

/** What every operation needs beside its own arguments. Nothing of it is taken from the process that imports tsrun. */
export interface RuntimeOptions {
  /** Directory of the state directories, absolute. */
  readonly root: string;
  readonly cgroupManager: 'cgroupfs' | 'systemd' | 'disabled';
  /** Whether a container does without a cgroup where none may be made and it asks for none. Default: unless tsrun is root. */
  readonly rootless?: boolean;
  /**
   * Limit of open files (RLIMIT_NOFILE) of hooks, and of programs whose config sets none: that of whoever asks. Node raises the soft one
   * of its process at its start. Default: that of this process. While a hook is started, this process has it, too.
   */
  readonly openFiles?: OpenFilesLimit | undefined;
  /**
   * Where compiled seccomp filters are kept for the next container, absolute: a directory of this user's, which is made when it is
   * needed. Default: nowhere.
   */
  readonly cacheDirectory?: string;
  /**
   * Where the layers of containers lie that are to have one over their rootfs, absolute: a directory of this user's on a disk, which is made
   * when it is needed. Default: /var/lib/tsrun/overlay.
   */
  readonly layersDirectory?: string;
  /** For hooks in the runtime's own namespaces that have no environment of their own. Default: none. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  readonly log: Log;
  /** Where a trace of what takes how long is written, absolute. Default: nowhere. Of operations that make a process. */
  readonly traceFile?: string;
  /** Every phase and step is logged with its time, for debugging. Of the same operations. Default: false. */
  readonly logsSteps?: boolean;
}

/** Descriptors that become standard input, output and error of a container's program. */
export type Stdio = readonly [input: number, output: number, error: number];

/** What `create` makes a container from, what its program is connected to, and who is told of it. */
export interface CreateOptions {
  readonly id: string;
  /** Directory of config.json, absolute. */
  readonly bundle: string;
  /** Name of the configuration in the bundle. Default: config.json. */
  readonly configFile?: string;
  /** Text of the configuration, in place of the bundle's file. */
  readonly configText?: string;
  /** The container's changes go to a layer over the rootfs. Default: what the annotation of the config says. */
  readonly overlay?: OverlaySettings;
  /** Receives the pid in decimal without a newline, when the container is created. Absolute. */
  readonly pidFile?: string;
  /** Unix socket that is sent the master of the console. Absolute. */
  readonly consoleSocket?: string;
  /** MS_MOVE and chroot in place of pivot_root. */
  readonly noPivot: boolean;
  /** Keep the caller's session keyring. */
  readonly noNewKeyring: boolean;
  /** Descriptors that become 3 and up of the program, in this order. */
  readonly preserved: readonly number[];
  /** How many of them, the first ones, are sockets that are handed over by the protocol of sd_listen_fds(3). Default: 0. */
  readonly listenFds?: number;
  /** Unix socket that is sent a pidfd of the container's init. Absolute. */
  readonly pidfdSocket?: string;
  /**
   * Socket of the service manager, as in sd_notify(3): a path, or an abstract name behind `@`. The container gets one of its
   * own, and that the program is ready is passed on.
   */
  readonly notifySocket?: string;
  /** In place of the network of the config. */
  readonly network?: NetworkChoice;
  readonly stdio: Stdio;
  /** Takes the master of the console, in place of a socket. It is closed afterwards: who keeps it duplicates it. */
  readonly takeConsole?: (master: OwnedFd) => void;
  /**
   * Called with the pid of the process at the end of an operation that does not wait for it: a child of this process, which nobody has
   * reaped.
   */
  readonly onProcess?: (pid: number) => void;
}

/** What `start` cannot take from the record of the container, because it concerns whoever calls it. */
export interface StartOptions {
  /** As for `create`, which has to have been given one too. */
  readonly notifySocket?: string;
}

/** The part of `create`'s options that changes the plan; descriptors count only by how many they are. */
export type ExplainOptions = Pick<
  CreateOptions,
  'id' | 'bundle' | 'configFile' | 'configText' | 'overlay' | 'network' | 'noPivot' | 'noNewKeyring' | 'preserved'
>;

/** `create` and `start` in one, and waiting for the end unless detached. */
export interface RunOptions extends CreateOptions {
  /** Do not wait for the program. */
  readonly detach: boolean;
  /** Keep the container's state and cgroup when the program has ended. */
  readonly keep: boolean;
  /**
   * While it waits in the foreground, this process adopts and reaps what the container's processes leave behind: only for a process
   * that has no other children. Default: false.
   */
  readonly subreaper?: boolean;
  /**
   * In the foreground the signals of this process, all that can be caught, go to the program. No handler of this process is touched
   * otherwise. Default: false.
   */
  readonly forwardSignals?: boolean;
}

/** How a container is saved to a directory. */
export interface CheckpointOptions extends DumpOptions {
  readonly id: string;
  /** A descriptor of this process that gets a zero byte when memory is to be had, with `lazyPages`. */
  readonly statusFd?: number;
}

/** A container that was saved, and whose program goes on; what of `run` there is to choose where the program has begun long ago. */
export interface RestoreOptions
  extends
    RestoreSettings,
    Omit<RunOptions, 'overlay' | 'noNewKeyring' | 'preserved' | 'listenFds' | 'notifySocket' | 'network'> {}

/** How often the kernel had killed a process of the cgroup for want of memory, at some moment. */
export interface OomCount {
  readonly cgroup: CgroupReference;
  readonly oomKills: number | bigint;
}

/** A further process of a container that runs, and what it is connected to. */
export interface ExecOptions {
  readonly id: string;
  /** Makes the process from the one of the saved config: the command line's changes, or a process document as a whole. */
  readonly change: ProcessChange;
  readonly pidFile?: string;
  readonly consoleSocket?: string;
  /** Unix socket that is sent a pidfd of the process. Absolute. */
  readonly pidfdSocket?: string;
  readonly detach: boolean;
  /** As for `create`. */
  readonly preserved: readonly number[];
  /** As for `create`. */
  readonly listenFds?: number;
  readonly ignorePaused: boolean;
  /** Cgroups below the container's for the process. Default: the container's own. */
  readonly subCgroups?: readonly SubCgroup[];
  readonly stdio: Stdio;
  /** As for `create`. */
  readonly takeConsole?: (master: OwnedFd) => void;
  /**
   * Called with the pid of a child of this process that waits to enter the container, when all else is prepared. The operation goes on when it
   * resolves, unless the container has changed, and fails when it does; whatever was prepared is taken back then.
   */
  readonly hold?: (pid: number) => Promise<void>;
  /** As for `create`, with `detach`; and how often the kernel had killed a process of the container for want of memory before. */
  readonly onProcess?: (pid: number, before: OomCount) => void;
  /**
   * In the foreground the signals of this process, all that can be caught, go to the program. No handler of this process is touched
   * otherwise. Default: false.
   */
  readonly forwardSignals?: boolean;
}

/** Which processes `kill` sends a signal: the init of one or several containers, or all that they have. */
export interface KillOptions {
  readonly id: string;
  /** `id` is a regular expression: every container whose id it matches. */
  readonly isPattern?: boolean;
  /** Signal number; 0 only looks whether there is a process. */
  readonly signal: number;
  /** Every process of the container's cgroup. */
  readonly all: boolean;
}

/** Which containers `delete` removes, and in which states. */
export interface DeleteOptions {
  readonly id: string;
  /** `id` is a regular expression: every container whose id it matches. */
  readonly isPattern?: boolean;
  /** Kill what still runs; a container that does not exist is no error. */
  readonly force: boolean;
  /** Refuse a container that is created and was never started, as the specification says. Default: false. */
  readonly strict?: boolean;
}

/** Limits that `update` changes while the container runs (config-linux.md, "Control groups" and "IntelRdt"). */
export interface UpdateOptions {
  readonly id: string;
  /** Members that are absent, 0 or empty text leave what is. */
  readonly changes:
    | { readonly kind: 'document'; /** JSON of a resources section. */ readonly text: string; readonly name: string }
    | { readonly kind: 'resources'; readonly resources: Resources };
  /** Line for the schemata of Intel RDT, such as `L3:0=f`. */
  readonly l3CacheSchema?: string;
  readonly memBwSchema?: string;
}

/** Whose statistics and out-of-memory kills are told, how often and until when. */
export interface EventOptions {
  readonly id: string;
  /** Time between two statistics, more than 0. */
  readonly intervalMs: number;
  /** Ends the stream, within a second. */
  readonly signal?: AbortSignal;
}

/** What `mount add` mounts in a container that is there. */
export interface AddMountOptions {
  readonly id: string;
  /** As in config.json; a bind mount's source is absolute. */
  readonly mount: Mount;
}

/** What `mount remove` takes away. */
export interface RemoveMountOptions {
  readonly id: string;
  /** A mount point in the container, absolute. */
  readonly target: string;
}

/** Of which containers `stats` tells what they use, and how often. */
export interface UsageOptions {
  /** None are all that run. */
  readonly ids: readonly string[];
  /** Time between two looks, more than 0. */
  readonly intervalMs: number;
  /** A single answer. */
  readonly once: boolean;
}

/** What the kernel has counted for a container. */
export interface ContainerStats extends Stats {
  /** Interfaces of the container's own network namespace, as it sees them, without `lo`. */
  readonly networkInterfaces: readonly NetworkInterface[];
}

/** What the stream of `events` yields: statistics at every interval, and that it ran out of memory as soon as the kernel says so. */
export type ContainerEvent =
  | { readonly type: 'stats'; readonly id: string; readonly data: ContainerStats }
  /** The container ran out of memory. */
  | { readonly type: 'oom'; readonly id: string };

/** Whose processes `ps` shows, and as what table. */
export interface ShowProcessesOptions {
  readonly id: string;
  /** Arguments of ps(1) that choose the columns; all processes have to be among what it lists. Default: `-ef`. */
  readonly psArguments: readonly string[];
}

/** A path of a container, and what it has done to it. */
export interface LayerChange {
  readonly kind: 'added' | 'changed' | 'deleted';
  /** Absolute; U+FFFD stands for what is not UTF-8. */
  readonly path: string;
}

/** A container as `state` and `list` show it. */
export interface ContainerStatus {
  readonly ociVersion: string;
  readonly id: string;
  /** 0 when there is no process. */
  readonly pid: number;
  readonly status: 'creating' | 'created' | 'running' | 'paused' | 'stopped';
  readonly bundle: string;
  readonly rootfs: string;
  /** RFC 3339, UTC. */
  readonly created: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Who owns the state directory: a user name, or `#uid`. */
  readonly owner: string;
}
