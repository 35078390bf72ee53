import { checked, lastErrno } from './errno.ts';
import { bindLibc } from './library.ts';

const waitpidCall = bindLibc('int waitpid(int pid, void *status, int options)');
const WNOHANG = 1;

/** How a process ended. */
export type ExitStatus =
  { readonly kind: 'exited'; readonly code: number } | { readonly kind: 'killed'; readonly signal: number };

/**
 * Reaps a child if it has ended; undefined while it runs.
 *
 * Errors: `host` (ECHILD when it is not a child, or was reaped already).
 */
export function reapChild(pid: number): ExitStatus | undefined {
  return wait(pid, WNOHANG);
}

/** Waits for a child to end, blocking this thread; only for one that is known to be ending. Errors: `host`. */
export function waitChild(pid: number): ExitStatus {
  const status = wait(pid, 0);
  if (status === undefined) throw new Error('bug: waitpid without WNOHANG returned 0');
  return status;
}

function wait(pid: number, options: number): ExitStatus | undefined {
  const status = Buffer.alloc(4);
  let result = waitpidCall(pid, status, options);
  while (result < 0 && lastErrno() === 'EINTR') result = waitpidCall(pid, status, options);
  if (checked(result, `wait for process ${pid}`) === 0) return undefined;
  return readWaitStatus(status.readInt32LE(0));
}

/** What a status word of wait(2) means; of a process that has ended. Source: man 2 wait. */
export function readWaitStatus(word: number): ExitStatus {
  const signal = word & 0x7f;
  return signal === 0 ? { kind: 'exited', code: (word >> 8) & 0xff } : { kind: 'killed', signal };
}

/** The exit code a shell reports: the code itself, or 128 + the signal's number. */
export function exitCode(status: ExitStatus): number {
  return status.kind === 'exited' ? status.code : 128 + status.signal;
}
