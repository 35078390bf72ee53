import { TsrunError } from '../errors.ts';
import { errnoName, errnoText } from '../util/errno.ts';
import { loadKoffi } from './library.ts';

/** The errno's name of the last C call of this thread that failed. */
export function lastErrno(): string {
  return errnoName(loadKoffi().errno());
}

/**
 * Passes a result of 0 or more through.
 *
 * Errors: `host` with `errno` set, for a negative result; `what` says what was being done, with its object.
 */
export function checked(result: number, what: string): number {
  if (result >= 0) return result;
  throw TsrunError.of('host', what, lastErrno());
}

/** Why something failed, to stand behind what was being done: the words of the errno, or else the error's own message. */
export function reasonOf(error: unknown): string {
  if (error instanceof TsrunError) return error.message;
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return errnoText(code);
  return error instanceof Error ? error.message : String(error);
}

/** True for an error that carries this errno: one of ours, or one of node:fs. */
export function hasErrno(error: unknown, ...names: string[]): boolean {
  if (error instanceof TsrunError) return error.errno !== undefined && names.includes(error.errno);
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && names.includes(code);
}
