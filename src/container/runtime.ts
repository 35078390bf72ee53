import type { Log } from '../log.ts';
import type { Resources } from '../spec/generated/config.ts';

/** What every operation needs beside its own arguments. Nothing of it is taken from the process that imports tsrun. */
export interface Runtime {
  /** Directory of the state directories, absolute. */
  readonly root: string;
  readonly cgroupManager: 'cgroupfs' | 'disabled';
  readonly log: Log;
}

/** Descriptors that become standard input, output and error of a container's program. */
export type Stdio = readonly [input: number, output: number, error: number];

export interface CreateOptions {
  readonly id: string;
  /** Directory of config.json, absolute. */
  readonly bundle: string;
  /** Name of the configuration in the bundle. Default: config.json. */
  readonly configFile?: string;
  /** Receives the pid in decimal without a newline, when the container is created. Absolute. */
  readonly pidFile?: string;
  /** Unix socket that is sent the master of the console. Absolute. */
  readonly consoleSocket?: string;
  /** MS_MOVE and chroot in place of pivot_root. */
  readonly noPivot: boolean;
  /** Keep the caller's session keyring. */
  readonly noNewKeyring: boolean;
  /** How many descriptors from 3 on the program inherits. */
  readonly preserveFds: number;
  readonly stdio: Stdio;
}

export interface RunOptions extends CreateOptions {
  /** Do not wait for the program. */
  readonly detach: boolean;
  /** Keep the container's state and cgroup when the program has ended. */
  readonly keep: boolean;
}

export interface ExecOptions {
  readonly id: string;
  /** Makes the process from the one of the saved config: the command line's changes, or a process document as a whole. */
  readonly change: ProcessChange;
  readonly pidFile?: string;
  readonly consoleSocket?: string;
  readonly detach: boolean;
  readonly preserveFds: number;
  readonly ignorePaused: boolean;
  readonly stdio: Stdio;
}

/** How the process of `exec` differs from the container's own. */
export type ProcessChange =
  | {
      readonly kind: 'document';
      /** Text of a JSON document with a whole process object. */
      readonly text: string;
      readonly path: string;
    }
  | {
      readonly kind: 'options';
      readonly args: readonly string[];
      /** Entries `NAME=value`, added to the environment. */
      readonly env: readonly string[];
      readonly cwd?: string;
      readonly terminal: boolean;
      /** `uid` or `uid:gid`, numbers only. */
      readonly user?: { readonly uid: number; readonly gid?: number };
      readonly additionalGids: readonly number[];
      readonly capabilities: readonly string[];
      readonly noNewPrivileges?: boolean;
      readonly apparmorProfile?: string;
      readonly selinuxLabel?: string;
    };

export interface KillOptions {
  readonly id: string;
  /** Signal number; 0 only looks whether there is a process. */
  readonly signal: number;
  /** Every process of the container's cgroup. */
  readonly all: boolean;
}

export interface DeleteOptions {
  readonly id: string;
  /** Kill what still runs; a container that does not exist is no error. */
  readonly force: boolean;
}

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

export interface ShowProcessesOptions {
  readonly id: string;
  /** Arguments of ps(1) that choose the columns; all processes have to be among what it lists. Default: `-ef`. */
  readonly psArguments: readonly string[];
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
