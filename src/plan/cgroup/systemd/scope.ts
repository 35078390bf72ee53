import type { Resources } from '../../../spec/generated/config.ts';
import { planDeviceProperties } from '../controllers/devices.ts';
import { collectDeviceRules } from '../device-rules.ts';
import type { CgroupLayout } from '../../base/cgroup-layout.ts';
import type { CgroupDirectory } from '../path.ts';
import type { Problems } from '../problems.ts';
import { planAnnotatedProperties } from './annotations.ts';
import { planResourceProperties } from './resource-properties.ts';
import type { UnitProperty } from '../unit-property.ts';
import type { BusName, UnitPlace } from './unit.ts';

/** The unit that systemd is asked to start for a container: StartTransientUnit of org.freedesktop.systemd1.Manager. */
export interface ScopePlan {
  readonly bus: BusName;
  readonly unit: string;
  /** A slice has no processes of its own, so that none is handed over with it. */
  readonly isSlice: boolean;
  /** In the order in which they are sent. */
  readonly properties: readonly UnitProperty[];
  /** Properties that the unit gets with the limits: set-up itself might not fit into them. */
  readonly limits: readonly UnitProperty[];
}

/** What a process that is not yet set up may need more of. */
const LATE = ['MemoryMax', 'MemoryHigh', 'MemorySwapMax', 'MemoryZSwapMax', 'MemoryLimit', 'TasksMax'];
const isLate = ({ name }: UnitProperty): boolean => LATE.includes(name);

/** Plans the unit. Contradictions are reported to `problems`. */
export function planScope(input: {
  readonly place: UnitPlace;
  readonly bus: BusName;
  readonly id: string;
  readonly layout: CgroupLayout;
  readonly resources: Resources;
  readonly annotations: Readonly<Record<string, string>>;
  readonly problems: Problems;
}): ScopePlan {
  const { place, bus, id, layout, resources, annotations, problems } = input;
  const unified = layout.mode === 'v2';
  const { unit, isSlice, slice } = place;
  const limits = planResourceProperties(resources, { unified, problems });
  const flag = (name: string, value: boolean): UnitProperty => ({ name, signature: 'b', value });
  return {
    bus,
    unit,
    isSlice,
    properties: [
      { name: 'Description', signature: 's', value: `tsrun container ${id}` },
      ...(isSlice
        ? [{ name: 'Wants', signature: 'as', value: [slice] }]
        : // Without delegation systemd would take the container's own cgroups away from it.
          [{ name: 'Slice', signature: 's', value: slice }, flag('Delegate', true)]),
      flag('DefaultDependencies', false),
      flag('CPUAccounting', true),
      flag('MemoryAccounting', true),
      flag('TasksAccounting', true),
      flag(unified ? 'IOAccounting' : 'BlockIOAccounting', true),
      ...planDeviceProperties(collectDeviceRules(resources.devices ?? [])),
      ...limits.filter((limit) => !isLate(limit)),
      ...planAnnotatedProperties(annotations, problems),
    ],
    limits: limits.filter(isLate),
  };
}

/** The unit's cgroup in every hierarchy: systemd makes it in its own, tsrun in the others, under the same name. */
export function scopeDirectories(layout: CgroupLayout, place: UnitPlace): CgroupDirectory[] {
  const { path } = place;
  const directories = layout.hierarchies.map(({ controllers, mountPoint }): CgroupDirectory => {
    return { kind: 'v1', controllers, mountPoint, path };
  });
  if (layout.unified === undefined) return directories;
  const { controllers, mountPoint } = layout.unified;
  return [...directories, { kind: 'v2', controllers, mountPoint, path }];
}
