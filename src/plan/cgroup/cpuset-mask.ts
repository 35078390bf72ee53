import type { Problems } from './problems.ts';

/** NR_CPUS of no kernel is higher; a bound for what is allocated. */
const NUMBER_MAX = 8192;

/**
 * `0-2,8` -> the bits of the list as bytes, bit 0 of byte 0 first, which is what systemd takes for AllowedCPUs. Undefined, and
 * reported, when the text is no such list (man 7 cpuset, "List format").
 */
export function parseCpuset(list: string, pointer: string, problems: Problems): number[] | undefined {
  const bytes: number[] = [];
  for (const range of list.split(',')) {
    const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(range);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    // A comparison with NaN, the number of an entry that does not match, never holds.
    if (!(first <= last && last < NUMBER_MAX)) {
      problems.wrong(pointer, `is ${JSON.stringify(list)}, wanted a list such as "0-3,7"`);
      return undefined;
    }
    for (let bit = first; bit <= last; bit++) {
      while (bytes.length <= bit >> 3) bytes.push(0);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
    }
  }
  return bytes;
}
