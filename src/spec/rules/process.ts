/** config.md, "Process". */
import type { Issue } from '../../errors.ts';
import { quote } from '../quote.ts';
import { type DraftConfig, isAbsent, isDamaged, isForLinux, itemsOf } from './draft.ts';
import { wording } from '../../util/wording.ts';

/** The working directory is absolute. */
export function checkCwd({ process }: DraftConfig): Issue[] {
  const cwd = process?.cwd;
  if (cwd === undefined || cwd.startsWith('/')) return [];
  const rule = cwd === '' ? wording.emptyCwd : wording.relativeCwd;
  return [{ pointer: '/process/cwd', message: `is ${quote(cwd)}, wanted an absolute path: ${rule}` }];
}

/** There is a program to run. */
export function checkArgs(config: DraftConfig): Issue[] {
  const { process } = config;
  if (process === undefined || !isForLinux(config) || isDamaged(process, 'args')) return [];
  if (process.args === undefined) {
    return [{ pointer: '/process', message: `lacks the property "args": ${wording.noArgs}` }];
  }
  if (isAbsent(process.args)) return [{ pointer: '/process/args', message: `is []: ${wording.noArgs}` }];
  if (process.args[0] !== '') return [];
  return [{ pointer: '/process/args/0', message: `is "", wanted the name of a program: ${wording.notInPath}` }];
}

/** Environment entries are `NAME=value`. */
export function checkEnv({ process }: DraftConfig): Issue[] {
  return checkEnvironment(process?.env, '/process/env');
}

/** Entries of an environment that are not `NAME=value`; the value may be empty, the name not. */
export function checkEnvironment(env: readonly (string | undefined)[] | undefined, base: string): Issue[] {
  const issues: Issue[] = [];
  for (const [entry, pointer] of itemsOf(env, base)) {
    if (entry.indexOf('=') < 1) issues.push({ pointer, message: `is ${quote(entry)}, wanted "NAME=value"` });
  }
  return issues;
}

/** Each resource is limited at most once, and no soft limit exceeds its hard limit. */
export function checkRlimits({ process }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  const seen = new Set<string>();
  for (const [{ type, soft, hard }, pointer] of itemsOf(process?.rlimits, '/process/rlimits')) {
    if (type !== undefined && seen.has(type)) {
      issues.push({ pointer, message: `is a second limit of type ${quote(type)}, wanted each type once` });
    }
    if (type !== undefined) seen.add(type);
    if (soft !== undefined && hard !== undefined && soft > hard) {
      issues.push({ pointer, message: `has the soft limit ${soft}, wanted at most the hard limit ${hard}` });
    }
  }
  return issues;
}
