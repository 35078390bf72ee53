import { PR_SET_CHILD_SUBREAPER } from '../util/constants.ts';
import { checked, lastErrno } from './errno.ts';
import { bindLibc } from './library.ts';

const waitpidCall = bindLibc('int waitpid(int pid, void *status, int options)');
const waitidCall = bindLibc('int waitid(int idtype, unsigned int id, void *info, int options)');
const prctlCall = bindLibc('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)');
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x0100_0000;
const P_ALL = 0;
/** Offset of si_pid in siginfo_t, which has 128 bytes, on 64-bit architectures. */
const SI_PID = 16;

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

/** The pid of a child that has ended and is not reaped yet; undefined when there is none. Reaps nothing. Errors: `host`. */
export function peekEndedChild(): number | undefined {
  const info = Buffer.alloc(128);
  let result = waitidCall(P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT);
  while (result < 0 && lastErrno() === 'EINTR') result = waitidCall(P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT);
  if (result < 0 && lastErrno() === 'ECHILD') return undefined;
  checked(result, 'look for a child that has ended');
  const pid = info.readInt32LE(SI_PID);
  return pid === 0 ? undefined : pid;
}

/** Has this process adopt the orphans among its descendants, or no longer. Errors: `host`. Source: man 2 PR_SET_CHILD_SUBREAPER. */
export function setChildSubreaper(adopts: boolean): void {
  checked(prctlCall(PR_SET_CHILD_SUBREAPER, adopts ? 1 : 0, 0, 0, 0), 'adopt orphans');
}
