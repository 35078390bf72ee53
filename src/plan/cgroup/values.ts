/** Conversions from the units of config.json to those of the kernel's control files. */

/** A 64-bit value of config.json. */
export type Integer = number | bigint;

/** True for a value that asks for something: config.json has 0 and absence for "leave it". */
export function isSet(value: Integer | undefined): value is Integer {
  return value !== undefined && BigInt(value) !== 0n;
}

/** A burst of 0, which takes one away that was there: a kernel without the file (before 5.14) has none anyway. */
export const NO_BURST = { accept: ['ENOENT'] } as const;

/** `max` for -1, else the number: how cgroup v2 spells a limit. */
export function maxOr(value: Integer): string {
  return BigInt(value) === -1n ? 'max' : String(value);
}

/**
 * cpu.shares (2 to 262144, v1 default 1024) -> cpu.weight (1 to 10000, v2 default 100): a quadratic through the three fixed points
 * in logarithmic scale. Source: runc and crun since 2025, so that the same config gets the same share with every runtime.
 */
export function weightFromShares(shares: Integer): number {
  const value = Number(shares);
  if (value <= 2) return 1;
  if (value >= 262144) return 10000;
  const log = Math.log2(value);
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}

/** blkio.weight (10 to 1000) -> io.weight (1 to 10000), linear, rounded down. Source: runc, crun. */
export function ioWeightFromBlkio(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

/**
 * Memory and swap together (v1) -> swap alone (v2), bytes.
 *
 * Shape: the text for memory.swap.max, or undefined for "leave it". The caller has checked that swap is not below the limit.
 */
export function swapMax(limit: Integer | undefined, swap: Integer | undefined): string | undefined {
  if (!isSet(swap)) return limit !== undefined && BigInt(limit) === -1n ? 'max' : undefined;
  if (BigInt(swap) === -1n) return 'max';
  return String(BigInt(swap) - BigInt(limit ?? 0));
}

/** A number where it holds the value exactly, else the BigInt. */
export function toInteger(value: bigint): Integer {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}
