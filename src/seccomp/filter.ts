import { createHash } from 'node:crypto';
import { realpathSync, statSync } from 'node:fs';
import type { Log } from '../log.ts';
import type { FilterRules } from '../plan/seccomp/filter.ts';
import { libseccompVersion } from '../sys/libseccomp.ts';
import type { FilterCache } from './cache.ts';
import { compileFilter } from './compile.ts';

/** Counts the changes to how rules become a program; programs of another count are compiled anew. */
const COMPILER_VERSION = 1;

/** Where compiled filters are kept, and who is told what libseccomp could not do. */
export interface FilterOptions {
  /** Absent: compile in any case and keep nothing. */
  readonly cache?: FilterCache;
  readonly log: Log;
}

/**
 * The BPF program of a filter, from the cache where that has it: then libseccomp is not even loaded.
 *
 * Errors: those of `compileFilter`.
 */
export async function makeFilter(rules: FilterRules, { cache, log }: FilterOptions): Promise<Uint8Array> {
  if (cache === undefined) return compileFilter(rules, log);
  const key = cacheKey(rules, libraryIdentity());
  const kept = cache.read(key);
  if (kept !== undefined) return kept;
  const program = await compileFilter(rules, log);
  cache.write(key, program);
  return program;
}

/** 64 hexadecimal digits that differ whenever the program might. */
export function cacheKey(rules: FilterRules, library: string): string {
  const text = JSON.stringify([COMPILER_VERSION, process.arch, library, rules], (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  return createHash('sha256').update(text).digest('hex');
}

/** Where distributions install it. */
const LIBRARY_DIRECTORIES = [
  `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`,
  '/usr/lib64',
  '/usr/lib',
  '/lib64',
  '/lib',
];

/**
 * Which libseccomp this is. The name of its file ends in the version, and its time changes with a rebuild: so an installed one
 * need not be loaded to be told from another. One in an unusual place is asked for its version.
 */
function libraryIdentity(): string {
  for (const directory of LIBRARY_DIRECTORIES) {
    try {
      const file = realpathSync(`${directory}/libseccomp.so.2`);
      const { size, mtimeMs } = statSync(file);
      return `${file} ${size} ${mtimeMs}`;
    } catch {
      // Not here.
    }
  }
  return libseccompVersion();
}
