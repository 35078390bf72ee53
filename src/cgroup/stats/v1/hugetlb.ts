import type { HugetlbStats } from '../document.ts';
import { listPageSizes, readInteger } from '../read.ts';

/** Huge pages in use, by page size. */
export function readHugetlbV1(hostPath: string): Record<string, HugetlbStats> {
  const sizes = listPageSizes(hostPath, 'usage_in_bytes');
  const read = (size: string): HugetlbStats => ({
    usage: readInteger(hostPath, `hugetlb.${size}.usage_in_bytes`),
    max: readInteger(hostPath, `hugetlb.${size}.max_usage_in_bytes`),
    failcnt: readInteger(hostPath, `hugetlb.${size}.failcnt`),
  });
  return Object.fromEntries(sizes.map((size) => [size, read(size)]));
}
