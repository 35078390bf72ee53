import { readFileSync } from 'node:fs';
import type { OpenFilesLimit } from '../plan/base/facts.ts';

export type { OpenFilesLimit } from '../plan/base/facts.ts';

const UNLIMITED = 2n ** 64n - 1n;

/**
 * The limit of open files that a process was started with, as far as it can be told: the engine raises the soft one at its start,
 * and the parent may still have it. Both are named by their directories below /proc.
 *
 * Shape: undefined where nothing was raised; a text where something was and nobody knows from what.
 */
export function readCallersOpenFiles(processes: {
  readonly own: string;
  readonly parent: string;
}): OpenFilesLimit | string | undefined {
  return callersOpenFiles(readOpenFiles(processes.own), () => readOpenFiles(processes.parent));
}

/** The rule of `readCallersOpenFiles()`: a parent with the same hard limit has the soft one that it left to its children. */
export function callersOpenFiles(
  own: OpenFilesLimit | undefined,
  readParents: () => OpenFilesLimit | undefined,
): OpenFilesLimit | string | undefined {
  if (own === undefined || own.soft !== own.hard) return undefined;
  const parents = readParents();
  if (parents?.hard === own.hard) return parents.soft === own.soft ? undefined : parents;
  const found = parents === undefined ? 'cannot be read' : `is ${parents.soft}:${parents.hard}`;
  return `leave RLIMIT_NOFILE at ${own.soft}:${own.hard}: that of the parent process ${found}`;
}

/** Errors: none; undefined for a process that is not seen. */
function readOpenFiles(proc: string): OpenFilesLimit | undefined {
  try {
    return parseOpenFiles(readFileSync(`${proc}/limits`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** The line of /proc/PID/limits. */
export function parseOpenFiles(limits: string): OpenFilesLimit | undefined {
  const [, soft, hard] = /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)\s/m.exec(limits) ?? [];
  return soft === undefined || hard === undefined ? undefined : { soft: toNumber(soft), hard: toNumber(hard) };
}

function toNumber(text: string): bigint {
  return text === 'unlimited' ? UNLIMITED : BigInt(text);
}
