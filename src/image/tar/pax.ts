import { refuse } from '../refuse.ts';

/** One record of an extended header, both parts with one byte a character (latin1). */
export type PaxRecord = readonly [key: string, value: string];

/** Splits an extended header into its records. Errors: `bundle`. Source: POSIX pax, "pax Header Block". */
export function parsePax(bytes: Buffer): PaxRecord[] {
  const text = bytes.toString('latin1');
  const records: PaxRecord[] = [];
  for (let at = 0; at < text.length;) {
    // Padding that somebody has counted in.
    if (text.charCodeAt(at) === 0) break;
    const [head = '', digits = ''] = /^ *(\d{1,10}) /.exec(text.slice(at, at + 16)) ?? [];
    const end = at + Number(digits);
    const equals = text.indexOf('=', at);
    if (digits === '' || end > text.length || text[end - 1] !== '\n' || equals < at + head.length || equals >= end)
      throw refuse('an archive has an extended header that is damaged');
    records.push([text.slice(at + head.length, equals), text.slice(equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

/** Whole nanoseconds of a time in decimal seconds. Errors: `bundle`. */
export function parseTime(text: string): bigint {
  const [, sign = '', seconds, fraction = ''] = /^(-?)(\d{1,18})(?:\.(\d*))?$/.exec(text) ?? [];
  if (seconds === undefined) throw refuse(`an archive has ${JSON.stringify(text.slice(0, 40))} in the place of a time`);
  const ns = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return sign === '-' ? -ns : ns;
}

/** A number in decimal from 0. Errors: `bundle`. */
export function parseDecimal(text: string): number {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number))
    throw refuse(`an archive has ${JSON.stringify(text.slice(0, 40))} in the place of a number`);
  return number;
}
