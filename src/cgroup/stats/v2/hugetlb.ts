import type { HugetlbStats } from '../document.ts';
import { listPageSizes, readInteger, readTable } from '../read.ts';

/** Huge pages in use, by page size; the most so far is not counted here. */
export function readHugetlbV2(hostPath: string): Record<string, HugetlbStats> {
  const sizes = listPageSizes(hostPath, 'current');
  const read = (size: string): HugetlbStats => ({
    usage: readInteger(hostPath, `hugetlb.${size}.current`),
    max: 0,
    failcnt: readTable(hostPath, `hugetlb.${size}.events`)['max'] ?? 0,
  });
  return Object.fromEntries(sizes.map((size) => [size, read(size)]));
}
