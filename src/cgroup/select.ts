import type { CgroupManagerName } from '../plan/cgroup/plan.ts';
import { unreachable } from '../util/unreachable.ts';
import { cgroupfsDriver } from './cgroupfs.ts';
import { disabledDriver } from './disabled.ts';
import type { CgroupDriver, CgroupManager, CgroupReference } from './manager.ts';
import { systemdDriver } from './systemd.ts';

/** The driver of a plan's `manager`. */
export function selectCgroupManager(manager: CgroupManagerName): CgroupDriver {
  switch (manager) {
    case 'cgroupfs':
      return cgroupfsDriver();
    case 'systemd':
      return systemdDriver();
    case 'disabled':
      return disabledDriver;
    default:
      return unreachable(manager);
  }
}

/** The cgroups of a container from what its state keeps. Errors: `state` when a path in it is not below its mount point. */
export function openCgroup(reference: CgroupReference): CgroupManager {
  return selectCgroupManager(reference.manager).open(reference);
}
