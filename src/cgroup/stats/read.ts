import { readdirSync } from 'node:fs';
import { toInteger, type Integer } from '../../plan/cgroup/values.ts';
import { errnoOf, tryReadControlFile } from '../control-file.ts';

/** A file's only integer; `max` is the largest 64-bit value. 0 where the kernel has no such file. */
export function readInteger(hostPath: string, file: string): Integer {
  return parseInteger(tryRead(`${hostPath}/${file}`) ?? '');
}

/** Lines `name value` -> the values by name; empty where the kernel has no such file. */
export function readTable(hostPath: string, file: string): Record<string, Integer> {
  const lines = (tryRead(`${hostPath}/${file}`) ?? '').split('\n');
  const pairs = lines.map((line) => line.split(' ')).filter((fields) => fields.length === 2);
  return Object.fromEntries(pairs.map(([name = '', value = '']) => [name, parseInteger(value)]));
}

/** A file's lines; none where the kernel has no such file. */
export function readLines(hostPath: string, file: string): string[] {
  return (tryRead(`${hostPath}/${file}`) ?? '').split('\n').filter((line) => line !== '');
}

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

/** The sizes of huge pages that a cgroup has files for, such as `2MB`; `file` is how their names go on, such as `current`. */
export function listPageSizes(hostPath: string, file: string): string[] {
  const suffix = `.${file}`;
  try {
    const names = readdirSync(hostPath).filter((name) => /^hugetlb\.\d+[KMG]B\./.test(name) && name.endsWith(suffix));
    return names.map((name) => name.slice('hugetlb.'.length, -suffix.length)).filter((size) => !size.includes('.'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Pressure files answer EOPNOTSUPP when the kernel was told not to count. */
function tryRead(path: string): string | undefined {
  try {
    return tryReadControlFile(path);
  } catch (error) {
    if (errnoOf(error) === 'EOPNOTSUPP' || errnoOf(error) === 'ENOTSUP') return undefined;
    throw error;
  }
}
