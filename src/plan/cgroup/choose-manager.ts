import type { Config, Resources } from '../../spec/generated/config.ts';
import { resolvePidsLimit } from './controllers/pids.ts';
import type { CgroupManagerName } from './plan.ts';

/** What decides about the manager beside the config. */
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
  { linux, ociVersion }: Config,
  { asked, rootless, isWritable }: ManagerChoice,
): CgroupManagerName {
  const asksNothing =
    (linux?.cgroupsPath ?? '') === '' && !hasLimits(resolvePidsLimit(linux?.resources ?? {}, ociVersion));
  if (asked === 'systemd') return asked;
  return rootless && !isWritable && asksNothing ? 'disabled' : asked;
}

/** Device rules are no limit here: an ordinary user can make no devices. Neither is a pids limit that says there is none. */
function hasLimits({ pids, ...others }: Resources): boolean {
  if (pids?.limit !== undefined && BigInt(pids.limit) >= 0n) return true;
  return Object.entries(others).some(([name, value]) => name !== 'devices' && Object.keys(value).length > 0);
}
