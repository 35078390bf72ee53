import type { Resources } from '../../spec/generated/config.ts';
import type { CgroupWrite, ControllerPlace } from './writes.ts';

/** config-linux.md, "RDMA", the same file on cgroup v1 and v2. A device without a limit of its own keeps `max` (the kernel's). */
export function planRdma(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  return Object.entries(resources.rdma ?? {}).map(([device, limits]): CgroupWrite => {
    const handles = limits.hcaHandles === undefined ? '' : ` hca_handle=${limits.hcaHandles}`;
    const objects = limits.hcaObjects === undefined ? '' : ` hca_object=${limits.hcaObjects}`;
    const pointer = `/linux/resources/rdma/${device.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    const label = `limit RDMA device ${JSON.stringify(device)}`;
    return { kind: 'value', ...place, file: 'rdma.max', value: `${device}${handles}${objects}`, label, pointer };
  });
}
