/** The same with numbers in the place of BigInts. */
export type Plain<T> = T extends bigint
  ? number
  : T extends (...args: never[]) => unknown
    ? T
    : T extends object
      ? { readonly [Name in keyof T]: Plain<T[Name]> }
      : T;

/**
 * A document without BigInts, which JSON.stringify() refuses: what a number cannot hold exactly is rounded. Those are the kernel's
 * "no limit", and nanoseconds after a hundred days.
 */
export function plain<T>(value: T): Plain<T> {
  if (typeof value === 'bigint') return Number(value) as Plain<T>;
  if (typeof value !== 'object' || value === null) return value as Plain<T>;
  if (Array.isArray(value)) return value.map(plain) as Plain<T>;
  const entries = Object.entries(value as object).map(([name, member]): [string, unknown] => [name, plain(member)]);
  return Object.fromEntries(entries) as Plain<T>;
}
