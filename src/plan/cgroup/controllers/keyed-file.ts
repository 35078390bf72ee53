import type { ValueWrite } from '../writes.ts';

/**
 * What takes back a line of a control file with a line for each device or interface, key first: the line from before, or the one
 * that takes the key's setting away. Undefined for a write that names no key.
 */
export function undoKeyed({ value }: Pick<ValueWrite, 'value'>, before: string, none: string): string[] | undefined {
  const [key = '', ...rest] = value.split(' ');
  if (rest.length === 0) return undefined;
  return [before.split('\n').find((line) => line.startsWith(`${key} `)) ?? `${key} ${none}`];
}
