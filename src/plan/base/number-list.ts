import { TsrunError } from '../../errors.ts';
import { block } from '../../program/build.ts';
import type { Block } from '../../program/step.ts';

/** Which numbers a list may have, and where config.json has it. */
export interface NumberListOptions {
  /** JSON pointer of the list, for the failure. */
  readonly pointer: string;
  /** Numbers must be below this. */
  readonly limit: number;
}

/**
 * The numbers of a list such as `0-3,7`: cpuset(7), "List format", ascending and each once. Blanks around entries are ignored.
 * Throws a TsrunError `config` for what is no such list, and for an empty one.
 */
export function parseNumberList(list: string, { pointer, limit }: NumberListOptions): number[] {
  const numbers = new Set<number>();
  for (const entry of list.split(',')) {
    const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(entry);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    // A comparison with NaN, the number of an entry that does not match, never holds.
    if (!(first <= last && last < limit)) {
      const message = `is ${JSON.stringify(list)}, wanted a list such as "0-3,7" of numbers below ${limit}`;
      throw new TsrunError('config', `config.json: ${pointer}: ${message}`, { issues: [{ pointer, message }] });
    }
    for (let number = first; number <= last; number++) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b);
}

/** A bit mask as the kernel takes it: an array of unsigned long, bit n is number n. At least one word. */
export function bitMask(numbers: readonly number[], text: string): Block {
  const highest = Math.max(0, ...numbers);
  const bytes = new Uint8Array((Math.floor(highest / 64) + 1) * 8);
  // Both architectures are little endian: the bits of the words are those of the bytes in order.
  for (const number of numbers) bytes[number >> 3] = (bytes[number >> 3] ?? 0) | (1 << (number & 7));
  return block(bytes, text);
}
