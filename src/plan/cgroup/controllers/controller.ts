import type { Resources } from '../../../spec/generated/config.ts';
import type { Problems } from '../problems.ts';
import type { UnitProperty } from '../unit-property.ts';
import type { CgroupWrite, ControllerPlace, ValueWrite } from '../writes.ts';
import type { ResourceSection } from './section.ts';
import type { CounterReader } from './counters.ts';

/** What a controller writes for the limits of a container. */
export type LimitPlanner = (resources: Resources, place: ControllerPlace, problems: Problems) => CgroupWrite[];

/**
 * One cgroup controller in all its parts: the file of it in this folder is where all of it stands. A part that is missing means that
 * there is nothing of the kind.
 */
export interface Controller {
  /** Its name in each world; without one it is not there. */
  readonly names: { readonly v1: string; readonly v2?: string };
  readonly v1: LimitPlanner;
  readonly v2?: LimitPlanner;
  /** Its v1 writes come before anyone joins. */
  readonly early?: true;
  /** The same limits as properties of a unit, so that a reload of systemd does not undo what is written into the cgroup. */
  readonly systemd?: (resources: Resources, options: SystemdOptions) => UnitProperty[];
  /** How an update changes its section of linux.resources. */
  readonly merge?: ResourceSection;
  /** What takes a write back, from the text of the file before it; undefined for a file that is none of its own. */
  readonly undo?: (write: Pick<ValueWrite, 'file' | 'value'>, before: string) => string[] | undefined;
}

/** What the properties of a unit depend on. */
export interface SystemdOptions {
  /** The machine has cgroup v2 alone. */
  readonly unified: boolean;
  readonly problems: Problems;
}

/** What the kernel has counted, from the controller's directory; `none` where it has none. */
export interface Counted<Stats> {
  readonly v1: (files: CounterReader) => Stats;
  readonly v2: (files: CounterReader) => Stats;
  readonly none: Stats;
}
