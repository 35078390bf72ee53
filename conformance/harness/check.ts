import { isDeepStrictEqual } from 'node:util';
import { Failure, Skip } from './requirement.ts';

/** Checks of requirements: each throws a `Failure` that says what was wanted and what was found. */

export function equal(found: unknown, wanted: unknown, what: string): void {
  if (!isDeepStrictEqual(found, wanted)) throw new Failure(what, { wanted, found });
}

export function match(found: string, wanted: RegExp, what: string): void {
  if (!wanted.test(found)) throw new Failure(what, { wanted: String(wanted), found });
}

export function noMatch(found: string, unwanted: RegExp, what: string): void {
  if (unwanted.test(found)) throw new Failure(what, { wanted: `not ${String(unwanted)}`, found });
}

export function ok(isSo: boolean, what: string, found: unknown): void {
  if (!isSo) throw new Failure(what, { wanted: 'that it is so', found });
}

export function skipUnless(isSo: boolean, reason: string): void {
  if (!isSo) throw new Skip(reason);
}
