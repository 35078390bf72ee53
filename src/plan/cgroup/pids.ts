import type { Resources } from '../../spec/generated/config.ts';
import { maxOr } from './values.ts';
import type { CgroupWrite, ControllerPlace } from './writes.ts';

/**
 * config-linux.md, "PIDs", the same file on cgroup v1 and v2. A limit of 0 becomes 1: either forbids every fork, and with 1 the
 * container's own init can still be cloned into its cgroup (runc, systemd and youki do the same).
 */
export function planPids(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const limit = resources.pids?.limit;
  if (limit === undefined) return [];
  const value = BigInt(limit) === 0n ? '1' : maxOr(BigInt(limit) < 0n ? -1 : limit);
  const pointer = '/linux/resources/pids/limit';
  return [{ kind: 'value', ...place, file: 'pids.max', value, label: 'set pids.limit', pointer }];
}
