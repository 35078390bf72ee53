import type { Resources } from '../../../spec/generated/config.ts';
import { planHugetlb } from '../hugetlb.ts';
import type { CgroupWrite, ControllerPlace } from '../writes.ts';

/** config-linux.md, "Huge page limits", on cgroup v2. */
export function planHugetlbV2(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  return planHugetlb(resources, place, { suffix: 'max' });
}
