import type { Config } from '../../spec/generated/config.ts';
import type { CgroupManagerName } from './plan.ts';

export interface ManagerChoice {
  /** What the caller asked for. */
  readonly asked: CgroupManagerName;
  /** A cgroup that may not be made is done without: for an ordinary user, and as the caller says. */
  readonly rootless: boolean;
  /** Whether tsrun may make directories in its own cgroups, all of them. */
  readonly isWritable: boolean;
}

/**
 * The manager for a container's cgroups: an ordinary user whom nobody delegated a cgroup goes on without one, as long as the config
 * asks neither for limits nor for a place. With either, making the cgroup fails and says so.
 */
export function chooseCgroupManager(
  { linux }: Config,
  { asked, rootless, isWritable }: ManagerChoice,
): CgroupManagerName {
  const asksNothing = (linux?.cgroupsPath ?? '') === '' && !hasLimits(linux?.resources ?? {});
  if (asked === 'systemd') return asked;
  return rootless && !isWritable && asksNothing ? 'disabled' : asked;
}

/** Device rules are no limit here: an ordinary user can make no devices. */
function hasLimits(resources: NonNullable<NonNullable<Config['linux']>['resources']>): boolean {
  return Object.entries(resources).some(
    ([name, value]) => name !== 'devices' && Object.keys(value as object).length > 0,
  );
}
