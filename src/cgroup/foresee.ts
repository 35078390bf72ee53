import type { CgroupPlan } from '../plan/cgroup/plan.ts';
import { unreachable } from '../util/unreachable.ts';
import type { CgroupReference } from './cgroup.ts';
import { foreseeDirectory } from './directory.ts';

/**
 * The reference that `makeCgroup` would give now, to be kept before anything is made: if tsrun is killed in the middle of it, the
 * cgroups can still be found and removed. Touches nothing.
 */
export function foreseeCgroup(plan: CgroupPlan): CgroupReference {
  const { manager, version, scope } = plan;
  const directories = plan.directories.map(({ kind, controllers, mountPoint, path }) => {
    return { kind, controllers, mountPoint, ...foreseeDirectory({ mountPoint, path }) };
  });
  switch (manager) {
    case 'cgroupfs':
    case 'disabled':
      return { manager, version, directories };
    case 'systemd':
      if (scope === undefined) throw new Error('bug: a plan for systemd without a unit');
      return {
        manager,
        version,
        // What systemd makes it removes.
        directories: directories.map((directory) => ({ ...directory, made: [] })),
        unit: { name: scope.unit, bus: scope.bus },
      };
    default:
      return unreachable(manager);
  }
}
