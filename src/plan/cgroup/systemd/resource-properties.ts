import type { Resources } from '../../../spec/generated/config.ts';
import type { SystemdOptions } from '../controllers/controller.ts';
import { CONTROLLERS } from '../controllers/table.ts';
import { planUnifiedProperties } from '../controllers/unified.ts';
import type { UnitProperty } from '../unit-property.ts';

/**
 * linux.resources -> properties that make systemd hold the same limits, so that a reload of it does not undo what is written into
 * the cgroup. What systemd has no property for is written into the cgroup alone.
 */
export function planResourceProperties(resources: Resources, options: SystemdOptions): UnitProperty[] {
  return [
    ...CONTROLLERS.flatMap(({ systemd }) => systemd?.(resources, options) ?? []),
    ...(options.unified ? planUnifiedProperties(resources, options) : []),
  ];
}
