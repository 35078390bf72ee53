import type { CgroupManagerName } from '../plan/cgroup/plan.ts';
import { unreachable } from '../util/unreachable.ts';
import { cgroupfsManager } from './cgroupfs.ts';
import { disabledManager } from './disabled.ts';
import type { CgroupManager, Cgroup, CgroupReference } from './manager.ts';
import { systemdManager } from './systemd.ts';

/** The manager that a plan names. */
export function selectCgroupManager(manager: CgroupManagerName): CgroupManager {
  switch (manager) {
    case 'cgroupfs':
      return cgroupfsManager();
    case 'systemd':
      return systemdManager();
    case 'disabled':
      return disabledManager;
    default:
      return unreachable(manager);
  }
}

/** The cgroups of a container from what its state keeps. Errors: `state` when a path in it is not below its mount point. */
export function openCgroup(reference: CgroupReference): Cgroup {
  return selectCgroupManager(reference.manager).open(reference);
}
