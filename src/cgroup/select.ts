import type { CgroupPlan } from '../plan/cgroup/plan.ts';
import type { BusAddresses } from '../plan/cgroup/systemd/bus-addresses.ts';
import { unreachable } from '../util/unreachable.ts';
import type { Cgroup, CgroupReference, ManagedCgroup } from './cgroup.ts';
import { openCgroupfs } from './cgroupfs.ts';
import { disabledCgroup } from './disabled.ts';
import { makeCgroupfs } from './make-cgroupfs.ts';
import { makeSystemdCgroup, openSystemdCgroup } from './systemd.ts';

/**
 * Makes the cgroups of a plan by the manager that it names, and does its `prepare` writes.
 *
 * Errors: `cgroup`, also when a cgroup that was there before has processes or is frozen. Nothing is left behind then.
 */
export function makeCgroup(plan: CgroupPlan, buses: BusAddresses): ManagedCgroup {
  switch (plan.manager) {
    case 'cgroupfs':
      return makeCgroupfs(plan);
    case 'systemd':
      return makeSystemdCgroup(plan, buses);
    case 'disabled':
      return disabledCgroup;
    default:
      return unreachable(plan.manager);
  }
}

/**
 * The cgroups of a container from what its state keeps. Touches nothing. Errors: `state` when a path in it is not below its mount point.
 */
export function openCgroup(reference: CgroupReference): Cgroup {
  return reference.manager === 'disabled' ? disabledCgroup : openCgroupfs(reference);
}

/** The same, for whoever changes what the manager has to know of. Errors: those of `openCgroup`. */
export function openManagedCgroup(reference: CgroupReference, buses: BusAddresses): ManagedCgroup {
  switch (reference.manager) {
    case 'cgroupfs':
      return openCgroupfs(reference);
    case 'systemd':
      return openSystemdCgroup(reference, buses);
    case 'disabled':
      return disabledCgroup;
    default:
      return unreachable(reference.manager);
  }
}
