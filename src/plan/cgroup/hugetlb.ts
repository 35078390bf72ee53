import type { Resources } from '../../spec/generated/config.ts';
import type { CgroupWrite, ControllerPlace } from './writes.ts';

/** config-linux.md, "Huge page limits": `hugetlb.<size>.<suffix>`, and the same for reservations where the kernel has them (5.7). */
export function planHugetlb(resources: Resources, place: ControllerPlace, options: { suffix: string }): CgroupWrite[] {
  return (resources.hugepageLimits ?? []).flatMap(({ pageSize, limit }, index): CgroupWrite[] => {
    const pointer = `/linux/resources/hugepageLimits/${index}`;
    const label = `limit huge pages of ${pageSize}`;
    const common = { kind: 'value', ...place, value: String(limit), label, pointer } as const;
    return [
      { ...common, file: `hugetlb.${pageSize}.${options.suffix}` },
      { ...common, file: `hugetlb.${pageSize}.rsvd.${options.suffix}`, accept: ['ENOENT'] },
    ];
  });
}
