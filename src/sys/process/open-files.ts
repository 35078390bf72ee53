import { readdirSync } from 'node:fs';
import { RLIMIT_NOFILE } from '../../util/constants.ts';
import { setRlimit, withSoftLimit } from './prlimit.ts';

/** What the start of a process itself opens has to fit below the limit. */
const START_DESCRIPTORS = 16;

/**
 * Starts a process with a limit of open files of its own. `start` is over when its program runs: nothing else happens here with that
 * limit. Where it is too low for the start itself, the process gets it a moment later.
 *
 * Errors: `host`; whatever `start` throws. Effects: for that moment the soft limit is the whole process's.
 */
export function startWithOpenFiles<Child extends { readonly pid?: number | undefined }>(
  limit: { readonly soft: bigint; readonly hard: bigint },
  start: () => Child,
): Child {
  const least = BigInt(readdirSync('/proc/self/fd').length + START_DESCRIPTORS);
  const soft = limit.soft < least ? least : limit.soft;
  const child = withSoftLimit({ resource: RLIMIT_NOFILE, soft }, start);
  if (soft !== limit.soft && child.pid !== undefined) setRlimit(child.pid, { resource: RLIMIT_NOFILE, ...limit });
  return child;
}
