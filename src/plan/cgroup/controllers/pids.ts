import type { Resources } from '../../../spec/generated/config.ts';
import { isSince } from '../../../spec/versions.ts';
import type { PidsStats } from '../stats.ts';
import { limitProperty, numberProperty, type UnitProperty } from '../unit-property.ts';
import { maxOr } from '../values.ts';
import type { CgroupWrite, ControllerPlace } from '../writes.ts';
import type { Controller } from './controller.ts';
import { readInteger, type CounterReader } from './counters.ts';
import { resourceSection } from './section.ts';

/** config-linux.md, "PIDs". */
export const pids: Controller = {
  names: { v1: 'pids', v2: 'pids' },
  v1: plan,
  v2: plan,
  systemd: planProperties,
  // A limit of 0 is one that is meant.
  merge: resourceSection('pids', {}),
};

/**
 * The resources with what their config means by a pids limit of 0: a limit since version 1.3 of the specification, none before.
 *
 * Until 1.2 the specification called no limit the default and left 0 open. With such versions docker up to 18.09, podman 3.4 to 5.4
 * (`--pids-limit=-1`) and CRI-O up to 1.29 write 0 for "no limit", and runc up to 1.3 and crun read it so. With 1.3 it is written
 * by podman without root for `--pids-limit=0` and -1 (podman issue 29422), and by containerd's `WithPidsLimit(0)`: runc 1.4 gives
 * both a limit of 1, and so does tsrun. The specification leaves no choice there: no limit is -1, which podman as root, docker
 * and CRI-O since 1.30 write.
 */
export function resolvePidsLimit(resources: Resources, ociVersion: string | undefined): Resources {
  const limit = resources.pids?.limit;
  if (limit === undefined || BigInt(limit) !== 0n || isSince(ociVersion, 3)) return resources;
  return { ...resources, pids: { ...resources.pids, limit: -1 } };
}

/**
 * The same file on cgroup v1 and v2. A limit of 0 becomes 1: either forbids every fork, and with 1 the
 * container's own init can still be cloned into its cgroup (runc, systemd and youki do the same).
 */
function plan(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const limit = resources.pids?.limit;
  if (limit === undefined) return [];
  const value = BigInt(limit) === 0n ? '1' : maxOr(BigInt(limit) < 0n ? -1 : limit);
  const pointer = '/linux/resources/pids/limit';
  return [{ kind: 'value', ...place, file: 'pids.max', value, label: 'set pids.limit', pointer }];
}

/** systemd takes 0 for "no limit set"; the cgroup gets 1 for it as well. */
function planProperties({ pids }: Resources): UnitProperty[] {
  if (pids?.limit === undefined) return [];
  return [BigInt(pids.limit) === 0n ? numberProperty('TasksMax', 1n) : limitProperty('TasksMax', pids.limit)];
}

/** The number of tasks; the same files on cgroup v1 and v2. */
export function readPids(files: CounterReader | undefined): PidsStats {
  if (files === undefined) return { current: 0, limit: 0 };
  const isUnlimited = files.lines('pids.max')[0] === 'max';
  return { current: readInteger(files, 'pids.current'), limit: isUnlimited ? 0 : readInteger(files, 'pids.max') };
}
