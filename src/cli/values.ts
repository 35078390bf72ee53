import { TsrunError } from '../errors.ts';
import { words } from '../util/words.ts';

// One more means "no change" to the kernel, in setuid(2) and its kin.
const largestId = 0xffff_fffe;

// No process can have more open descriptors than this by the kernel's default limit (fs.nr_open).
const mostDescriptors = 1_048_576;

/** A user or group number. Strict, since a name that is half read as a number would be user 0: CVE-2026-30892. Errors: `usage`. */
export function readId(text: string, option: string): number {
  return readNumber(text, { option, largest: largestId, wanted: 'a numeric id' });
}

/** `UID` or `UID:GID`, both numbers. Errors: `usage`. */
export function readUser(text: string): { uid: number; gid?: number } {
  const [uid = '', gid, ...more] = text.split(':');
  if (more.length > 0) throw invalidValue(text, 'user', 'UID or UID:GID');
  return { uid: readId(uid, 'user'), ...(gid !== undefined && { gid: readId(gid, 'user') }) };
}

/** The value of `--preserve-fds`; 0 when it was not given. Errors: `usage`. */
export function readPreserveFds(text: string | undefined): number {
  if (text === undefined) return 0;
  return readNumber(text, { option: 'preserve-fds', largest: mostDescriptors, wanted: 'a number of descriptors' });
}

/** `table` or `json`. Errors: `usage`, in runc's words. */
export function readListFormat(text = 'table'): 'table' | 'json' {
  if (text === 'table' || text === 'json') return text;
  throw new TsrunError('usage', words.invalidFormat);
}

function readNumber(
  text: string,
  { option, largest, wanted }: { option: string; largest: number; wanted: string },
): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
  if (number > largest) throw invalidValue(text, option, wanted);
  return number;
}

function invalidValue(text: string, option: string, wanted: string): TsrunError {
  return new TsrunError('usage', `invalid value ${JSON.stringify(text)} for option "--${option}": wanted ${wanted}`);
}
