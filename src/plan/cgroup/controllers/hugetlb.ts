import type { Resources } from '../../../spec/generated/config.ts';
import type { HugetlbStats } from '../stats.ts';
import type { CgroupWrite } from '../writes.ts';
import type { Controller, Counted, LimitPlanner } from './controller.ts';
import { readInteger, readTable, type CounterReader } from './counters.ts';
import { resourceSection, upsert } from './section.ts';

/** config-linux.md, "Huge page limits". */
export const hugetlb: Controller = {
  names: { v1: 'hugetlb', v2: 'hugetlb' },
  v1: planWith('limit_in_bytes'),
  v2: planWith('max'),
  merge: resourceSection('hugepageLimits', {
    merge: (old, changes) => upsert(old, changes, ({ pageSize }) => pageSize),
  }),
};

/** `hugetlb.<size>.<suffix>`, and the same for reservations where the kernel has them (5.7). */
function planWith(suffix: string): LimitPlanner {
  return (resources: Resources, place) =>
    (resources.hugepageLimits ?? []).flatMap(({ pageSize, limit }, index): CgroupWrite[] => {
      const pointer = `/linux/resources/hugepageLimits/${index}`;
      const label = `limit huge pages of ${pageSize}`;
      const common = { kind: 'value', ...place, value: String(limit), label, pointer } as const;
      return [
        { ...common, file: `hugetlb.${pageSize}.${suffix}` },
        { ...common, file: `hugetlb.${pageSize}.rsvd.${suffix}`, accept: ['ENOENT'] },
      ];
    });
}

/** Huge pages in use, by page size. */
function readHugetlbV1(files: CounterReader): Record<string, HugetlbStats> {
  const sizes = listPageSizes(files, 'usage_in_bytes');
  const read = (size: string): HugetlbStats => ({
    usage: readInteger(files, `hugetlb.${size}.usage_in_bytes`),
    max: readInteger(files, `hugetlb.${size}.max_usage_in_bytes`),
    failcnt: readInteger(files, `hugetlb.${size}.failcnt`),
  });
  return Object.fromEntries(sizes.map((size) => [size, read(size)]));
}

/** Huge pages in use, by page size; the most so far is not counted here. */
function readHugetlbV2(files: CounterReader): Record<string, HugetlbStats> {
  const sizes = listPageSizes(files, 'current');
  const read = (size: string): HugetlbStats => ({
    usage: readInteger(files, `hugetlb.${size}.current`),
    max: 0,
    failcnt: readTable(files, `hugetlb.${size}.events`)['max'] ?? 0,
  });
  return Object.fromEntries(sizes.map((size) => [size, read(size)]));
}

/** The sizes of huge pages that a cgroup has files for, such as `2MB`; `file` is how their names go on, such as `current`. */
function listPageSizes(files: CounterReader, file: string): string[] {
  const suffix = `.${file}`;
  const names = files.names().filter((name) => /^hugetlb\.\d+[KMG]B\./.test(name) && name.endsWith(suffix));
  return names.map((name) => name.slice('hugetlb.'.length, -suffix.length)).filter((size) => !size.includes('.'));
}

/** Huge pages in use. */
export const hugetlbStats: Counted<Readonly<Record<string, HugetlbStats>>> = {
  v1: readHugetlbV1,
  v2: readHugetlbV2,
  none: {},
};
