import type { CgroupPlan, UnitProperty } from '../plan/cgroup/plan.ts';
import type { CgroupReference } from '../spec/generated/record.ts';

export type { CgroupReference, CgroupReferenceDirectory } from '../spec/generated/record.ts';

/** The cgroups of one container, worked on as they are: nobody has to be told. Every method throws `cgroup` when the kernel refuses. */
export interface Cgroup {
  readonly reference: CgroupReference;
  /**
   * Handle of the cgroup2 directory for CLONE_INTO_CGROUP (O_PATH, close-on-exec), owned by the caller; undefined where there is
   * none. A process that starts there has still to join the v1 hierarchies.
   */
  openDirectory(): number | undefined;
  /** Puts the device rules in force, on v2 in the place of those from before. */
  applyDevices(plan: CgroupPlan): void;
  /** Process ids as seen from here, also those in cgroups made inside the container, ascending. Empty when the cgroup is gone. */
  processes(): number[];
  isFrozen(): boolean;
  /** Stops all processes and waits until they stand still, at most ten seconds; thaws again when they do not. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /**
   * Sends a signal to every process. SIGKILL leaves nobody out, forks in progress included, and thaws a frozen cgroup, because
   * on v1 a frozen process does not die. Any other signal reaches a frozen process when it is thawed.
   */
  killAll(signal: number): Promise<void>;
}

/** The cgroups of one container with whoever manages them, which may be systemd. Errors: `cgroup`. */
export interface ManagedCgroup extends Cgroup {
  /**
   * Best when set-up is over: a limit of processes counts those that set-up forks. With systemd, `properties` tell it of the limits
   * first, but not before the plan's checks hold.
   */
  applyLimits(plan: CgroupPlan, properties?: readonly UnitProperty[]): Promise<void>;
  /**
   * With systemd, starts the container's unit around a process, and when it runs already moves the process into it; the cgroups exist
   * from then on, with what `prepare` writes. Nothing happens with the other managers, whose cgroups are made by `makeCgroup`.
   */
  attach(pid: number, plan?: CgroupPlan): Promise<void>;
  /** Tells systemd about changed limits, so that it keeps them when it is reloaded. Nothing happens with the other managers. */
  announceLimits(limits: readonly UnitProperty[]): Promise<void>;
  /**
   * Removes the cgroups that tsrun made, with those made inside them. Processes that are left are killed only when `kill` is set;
   * otherwise they make it fail after a moment, with errno `EBUSY`.
   */
  remove(options?: { kill?: boolean }): Promise<void>;
}
