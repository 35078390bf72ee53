import { toInteger, type Integer } from '../values.ts';
import type { Pressure, PressureLine } from '../stats.ts';

/** Reads the control files of one directory; a file that the kernel does not have has nothing in it. */
export interface CounterReader {
  /** Lines without the empty ones. */
  lines(file: string): string[];
  /** Names of files. */
  names(): string[];
}

/** A file's only integer; `max` is the largest 64-bit value. 0 where the kernel has no such file. */
export function readInteger(files: CounterReader, file: string): Integer {
  return parseInteger(files.lines(file)[0] ?? '');
}

/** Lines `name value` -> the values by name; empty where the kernel has no such file. */
export function readTable(files: CounterReader, file: string): Record<string, Integer> {
  const pairs = files.lines(file).flatMap((line) => {
    const [name = '', value = '', ...rest] = line.split(' ');
    return rest.length > 0 || !line.includes(' ') ? [] : [[name, parseInteger(value)] as const];
  });
  return Object.fromEntries(pairs);
}

/** An integer of a control file; 0 for anything else. */
export function parseInteger(text: string): Integer {
  if (text === 'max') return 0xffff_ffff_ffff_ffffn;
  return /^-?\d{1,20}$/.test(text) ? toInteger(BigInt(text)) : 0;
}

/** The sum, exact. */
export function add(a: Integer, b: Integer): Integer {
  return toInteger(BigInt(a) + BigInt(b));
}

/** The product, exact. */
export function multiply(a: Integer, b: Integer): Integer {
  return toInteger(BigInt(a) * BigInt(b));
}

const NO_PRESSURE: PressureLine = { avg10: 0, avg60: 0, avg300: 0, total: 0 };

/** Lines `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` as `psi`; without it where the kernel does not count (CONFIG_PSI). */
export function readPressure(files: CounterReader, file: string): { psi?: Pressure } {
  const lines = files.lines(file).map((line) => line.split(' '));
  if (lines.length === 0) return {};
  const parse = (kind: string): PressureLine => {
    const [, ...fields] = lines.find(([first]) => first === kind) ?? [];
    const values = Object.fromEntries(fields.map((field) => field.split('='))) as Record<string, string | undefined>;
    const average = (name: string): number => Number(values[name] ?? 0);
    if (fields.length === 0) return NO_PRESSURE;
    return {
      avg10: average('avg10'),
      avg60: average('avg60'),
      avg300: average('avg300'),
      total: parseInteger(values['total'] ?? ''),
    };
  };
  return { psi: { some: parse('some'), full: parse('full') } };
}
