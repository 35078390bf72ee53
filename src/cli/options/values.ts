import { TsrunError } from '../../errors.ts';
import type { SubCgroup } from '../../container/store/options.ts';
import { wording } from '../../util/wording.ts';

// One more means "no change" to the kernel, in setuid(2) and its kin.
const largestId = 0xffff_fffe;

// No process can have more open descriptors than this by the kernel's default limit (fs.nr_open).
/** Most descriptors that are passed on; more than the usual hard limit of open files. */
export const mostDescriptors = 1_048_576;

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

/** The number of a descriptor; undefined when none was given, also where -1 says so. Errors: `usage`. */
export function readDescriptor(text: string | undefined, option: string): number | undefined {
  if (text === undefined || text === '' || text === '-1') return undefined;
  return readNumber(text, { option, largest: mostDescriptors, wanted: 'a number of a descriptor' });
}

/**
 * `USER` or `USER:GROUP`, each a number or a name. Numbers are those of a strict reader: what begins with a digit and is none is no
 * name either, since it would be half read as user 0 (CVE-2026-30892). Errors: `usage`.
 */
export function readUserOrName(text: string): { uid: number | string; gid?: number | string } {
  const [user = '', group, ...more] = text.split(':');
  if (more.length > 0) throw invalidValue(text, 'user', 'USER or USER:GROUP');
  return { uid: readIdOrName(user), ...(group !== undefined && { gid: readIdOrName(group) }) };
}

// As useradd(8) allows them, and longer ones.
function readIdOrName(text: string): number | string {
  return /^[A-Za-z_][\w.-]{0,254}\$?$/.test(text) ? text : readId(text, 'user');
}

/**
 * The values of `exec --cgroup`: one PATH alone, or `CONTROLLER,...:PATH` any number of times, each controller once.
 * Errors: `usage`, in runc's words.
 */
export function readSubCgroups(values: readonly string[]): SubCgroup[] {
  const named = new Set<string>();
  return values.map((text) => {
    const [first = '', second, ...more] = text.split(':');
    const invalid = (why: string): TsrunError => new TsrunError('usage', `invalid --cgroup argument${why}`);
    if (more.length > 0) throw invalid(`: ${text}`);
    if (second === undefined) {
      if (values.length > 1) throw invalid(`: ${text} (missing <controller>: prefix)`);
      return { path: first };
    }
    const controllers = first.split(',');
    for (const controller of controllers) {
      if (controller === '') throw invalid(`: ${text}: a controller has no name`);
      if (named.has(controller)) throw invalid(`(s): controller ${controller} specified multiple times`);
      named.add(controller);
    }
    return { controllers, path: second };
  });
}

/** `table` or `json`. Errors: `usage`, in runc's words. */
export function readListFormat(text = 'table'): 'table' | 'json' {
  if (text === 'table' || text === 'json') return text;
  throw new TsrunError('usage', `${wording.invalidFormat}: ${JSON.stringify(text)}, wanted table or json`);
}

/** `text` or `json`. Errors: `usage`. */
export function readTextFormat(text = 'text'): 'text' | 'json' {
  if (text === 'text' || text === 'json') return text;
  throw invalidValue(text, 'format', '"text" or "json"');
}

/** A number of files. Errors: `usage`. */
export function readEntryCount(text: string): number {
  return readNumber(text, { option: 'max-entries', largest: 9_999_999_999, wanted: 'a number of files' });
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

/** Unit of a Go duration -> milliseconds. Both spellings of micro are in use: U+00B5 and U+03BC. */
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  '\u00b5s': 1e-3,
  '\u03bcs': 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A time above 0 as Go writes it, such as `1m30s` or `1.5h`, in milliseconds. Errors: `usage`. */
export function readDuration(text: string, option: string): number {
  const [, sign = '', parts = ''] =
    /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+|0)$/.exec(text) ?? [];
  if (parts === '') throw invalidValue(text, option, 'a duration such as 5s, 1m30s or 100ms');
  const numbers = [...parts.matchAll(/([\d.]+)([a-z\u00b5\u03bc]+)/g)];
  const sum = numbers.reduce(
    (total, [, count = '', unit = '']) => total + Number(count) * (DURATION_UNITS[unit] ?? 0),
    0,
  );
  if (sign === '-' || sum <= 0) throw new TsrunError('usage', `duration ${option} must be greater than 0`);
  return sum;
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

/** The failure for a value of an option. */
export function invalidValue(text: string, option: string, wanted: string): TsrunError {
  return new TsrunError('usage', `invalid value ${JSON.stringify(text)} for option "--${option}": wanted ${wanted}`);
}
