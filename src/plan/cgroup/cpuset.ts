import type { Resources } from '../../spec/generated/config.ts';
import type { CgroupWrite, ControllerPlace } from './writes.ts';

/** config-linux.md, "CPU", cpus and mems: the same files and syntax on cgroup v1 and v2. */
export function planCpuset(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  for (const property of ['cpus', 'mems'] as const) {
    const value = resources.cpu?.[property];
    if (value === undefined || value === '') continue;
    const pointer = `/linux/resources/cpu/${property}`;
    writes.push({ kind: 'value', ...place, file: `cpuset.${property}`, value, label: `set cpu.${property}`, pointer });
  }
  return writes;
}
