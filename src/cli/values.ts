import { TsrunError } from '../errors.ts';

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
  throw new TsrunError('usage', 'invalid format option');
}

/** An integer in decimal. Shape: a BigInt where a number cannot hold it. Errors: `usage`. */
export function readInteger(text: string, option: string): number | bigint {
  if (!/^[+-]?\d{1,20}$/.test(text)) throw invalidValue(text, option, 'an integer');
  return exact(BigInt(text.replace('+', '')));
}

// As Go's units.RAMInBytes: all units are binary, `M`, `MB` and `MiB` the same.
const UNITS = ['', 'k', 'm', 'g', 't', 'p'];

/** A size in bytes such as `512M` or `1.5g`; `-1` is unlimited. Errors: `usage`. */
export function readSize(text: string, option: string): number | bigint {
  if (text === '-1') return -1;
  const [, whole, fraction = '', unit = ''] = /^(\d{1,20})(?:\.(\d{1,9}))? ?([kmgtp])?i?b?$/i.exec(text) ?? [];
  if (whole === undefined) throw invalidValue(text, option, 'a size such as 512M, or -1');
  const scale = 1024n ** BigInt(UNITS.indexOf(unit.toLowerCase()));
  const bytes = (BigInt(whole + fraction) * scale) / 10n ** BigInt(fraction.length);
  return exact(bytes);
}

function exact(value: bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
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
