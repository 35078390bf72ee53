import { TsrunError } from '../../errors.ts';
import { errnoName } from '../../util/errno.ts';
import { openLibrary, type CFunction } from '../library.ts';

/** Of a C object. */
export type Pointer = bigint | null;

let library: ((prototype: string) => CFunction) | undefined;
const bound = new Map<string, CFunction>();

/** libsystemd is loaded by the first who needs it: no other command pays for it. Errors: `host` when it is not installed. */
export function bind(prototype: string): CFunction {
  library ??= loadLibrary();
  const known = bound.get(prototype) ?? library(prototype);
  bound.set(prototype, known);
  return known;
}

function loadLibrary(): (prototype: string) => CFunction {
  const opened = openLibrary(['libsystemd.so.0']);
  return (prototype) => opened.func(prototype);
}

/** Answers with the result of a function, where a negative one is an errno. Errors: `host`. */
export function check(result: number, action: string): number {
  if (result >= 0) return result;
  throw TsrunError.of('host', action, errnoName(-result));
}
