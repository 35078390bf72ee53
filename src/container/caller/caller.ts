import type { MountinfoEntry } from '../../host/mountinfo.ts';
import type { HostFacts, OpenFilesLimit } from '../../plan/base/facts.ts';
import type { planContainer } from '../../plan/choose-container.ts';
import type { EntryInput } from '../../plan/choose-exec.ts';
import type { ExecPlan } from '../../plan/exec.ts';
import type { ReviewedOperation } from '../../plan/obstacles.ts';
import type { BusAddresses } from '../../plan/cgroup/systemd/bus-addresses.ts';
import type { RuntimeOptions } from '../store/options.ts';
import type { Tracer } from '../../process/tracer.ts';
import type { Partner } from '../../process/partner.ts';
import type { SpawnInitOptions } from '../../process/spawned.ts';
import type { InitToTell, Told } from '../../process/told-init.ts';
import type { Config } from '../../spec/generated/config.ts';
import type { loadConfig } from '../../spec/validate.ts';
import type { ProcessIdentity } from '../store/process-identity.ts';
import type { Foreground, ForegroundOptions } from './foreground.ts';

/**
 * Who asked for an operation, as data. Nothing in this folder, nor below it, looks at the process it runs in for any of this: that one
 * may serve others than itself.
 */
export interface Caller {
  /** The process that makes a container: while it lives and has not finished, the container is being made. Errors: `host`. */
  readonly identity: ProcessIdentity;
  /**
   * Its directory below /proc: `/proc/PID`, or `/proc/self`, which also holds where /proc is that of another pid namespace. Its mounts,
   * cgroups, ids and namespaces are where an operation begins.
   */
  readonly proc: string;
  /** Of files that are made for the caller. */
  readonly umask: number;
  /** For hooks in the runtime's own namespaces that have no environment of their own. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where the message buses are on which it talks to systemd. */
  readonly buses: BusAddresses;
  /** Limit of open files of hooks, and of programs whose config sets none. Undefined: as this process has it. */
  readonly openFiles: OpenFilesLimit | undefined;
  /** Path of the terminal of its session, which stands in where none of the standard descriptors is one. */
  readonly terminal?: string;
  /** Where the signals that it gets can be taken from. Without it none is. */
  readonly signals?: SignalSource;
  /** What it sees of the machine, for one that serves many callers which see the same. Default: it is looked at each time, by `proc`. */
  readonly host?: CallersHost;
  /** Reads and validates the text of a config.json, for one that has seen it before. Default: as it is asked for. */
  readonly loadConfig?: typeof loadConfig;
  /** Plans a container, for one that has planned others. Default: as it is asked for. */
  readonly planContainer?: typeof planContainer;
  /** Likewise for a further process, with the configuration of its container as it was read. */
  readonly planEntry?: (input: EntryInput, saved: Config) => ExecPlan;
  /** Starts an init as a child of the caller. Default: of this process. */
  readonly spawnInit?: (options: SpawnInitOptions) => Promise<Partner>;
  /**
   * Has a waiting init take its last packet and waits until it is the program, all of it done by the caller: where this process ends in
   * between, init does not. Default: by this process.
   */
  readonly tellInit?: (init: InitToTell, packet: Uint8Array) => Promise<Told>;
  /** How it waits in the foreground. Default: in this process. */
  readonly foreground?: (options: ForegroundOptions) => Foreground;
  /**
   * Throws where an operation on such a container is not for whoever works for the caller; nothing has happened then. `rootfs` is absolute,
   * and nobody has looked there. Default: everything is.
   */
  readonly review?: (config: Config, operation: ReviewedOperation, rootfs?: string) => void;
  /** Likewise, where programs have to be run that set up a network, or take it down. Default: they are. */
  readonly refuseHelpers?: () => void;
}

/** The machine as a caller sees it, at the moment when it is asked for. */
export interface CallersHost {
  mounts(): readonly MountinfoEntry[];
  facts(): HostFacts;
}

/** The caller has ended while its program runs in the foreground: that goes on, as it would have where the caller waited itself. */
export class CallerLost extends Error {}

/** Calls `take` with the number of each of these signals that comes, until it is disposed of. */
export type SignalSource = (numbers: readonly number[], take: (number: number) => void) => Disposable;

/** What an operation works with beside its own options. */
export interface Runtime extends Omit<RuntimeOptions, 'environment' | 'openFiles' | 'traceFile' | 'logsSteps'> {
  readonly caller: Caller;
  /** Measures the operation, for one that is measured. */
  readonly tracer?: Tracer;
}

/** What an operation for a caller works with. What is rarely asked for is read when it is. */
export function runtimeFor(
  caller: Caller,
  { root, cgroupManager, rootless, cacheDirectory, layersDirectory, log }: RuntimeOptions,
): Runtime {
  return {
    root,
    cgroupManager,
    ...(rootless !== undefined && { rootless }),
    ...(cacheDirectory !== undefined && { cacheDirectory }),
    ...(layersDirectory !== undefined && { layersDirectory }),
    log,
    caller,
  };
}
