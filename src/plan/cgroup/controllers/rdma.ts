import type { Resources } from '../../../spec/generated/config.ts';
import { pointerTo } from '../../../spec/pointer.ts';
import type { CgroupWrite, ControllerPlace } from '../writes.ts';
import type { Controller } from './controller.ts';
import { undoKeyed } from './keyed-file.ts';
import { resourceSection } from './section.ts';

/** config-linux.md, "RDMA": the same file on cgroup v1 and v2. */
export const rdma: Controller = {
  names: { v1: 'rdma', v2: 'rdma' },
  v1: plan,
  v2: plan,
  merge: resourceSection('rdma', {}),
  undo: (write, before) =>
    write.file === 'rdma.max' ? undoKeyed(write, before, 'hca_handle=max hca_object=max') : undefined,
};

/** A device without a limit of its own keeps `max` (the kernel's). */
function plan(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  return Object.entries(resources.rdma ?? {}).map(([device, limits]): CgroupWrite => {
    const handles = limits.hcaHandles === undefined ? '' : ` hca_handle=${limits.hcaHandles}`;
    const objects = limits.hcaObjects === undefined ? '' : ` hca_object=${limits.hcaObjects}`;
    const pointer = pointerTo('/linux/resources/rdma', device);
    const label = `limit RDMA device ${JSON.stringify(device)}`;
    return { kind: 'value', ...place, file: 'rdma.max', value: `${device}${handles}${objects}`, label, pointer };
  });
}
