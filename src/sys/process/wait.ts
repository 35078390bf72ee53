import { PR_SET_CHILD_SUBREAPER, P_ALL, P_PID, P_PIDFD, WEXITED, WNOHANG, WNOWAIT } from '../../util/constants.ts';
import { checked, lastErrno } from '../errno.ts';
import { bindLibc } from '../library.ts';

const waitidCall = bindLibc('int waitid(int idtype, unsigned int id, void *info, int options)');
const prctlCall = bindLibc('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)');
/** siginfo_t has 128 bytes. Offsets of si_code, si_pid and si_status on 64-bit architectures. */
const SIGINFO_BYTES = 128;
const SI_CODE = 8;
const SI_PID = 16;
const SI_STATUS = 24;
/** The others, CLD_KILLED and CLD_DUMPED, are ends by a signal. */
const CLD_EXITED = 1;

/** How a process ended. */
export type ExitStatus =
  { readonly kind: 'exited'; readonly code: number } | { readonly kind: 'killed'; readonly signal: number };

/**
 * Reaps a child if it has ended; undefined while it runs.
 *
 * Errors: `host` (ECHILD when it is not a child, or was reaped already).
 */
export function reapChild(pid: number): ExitStatus | undefined {
  return wait(P_PID, pid, WNOHANG);
}

/**
 * Reaps the child that a pidfd is of, if it has ended; undefined while it runs. Unlike its number the descriptor is nobody else's when
 * somebody has reaped it already.
 *
 * Errors: `host` (ECHILD as for `reapChild`).
 */
export function reapByPidfd(pidfd: number): ExitStatus | undefined {
  return wait(P_PIDFD, pidfd, WNOHANG);
}

/** Waits for a child to end, blocking this thread; only for one that is known to be ending. Errors: `host`. */
export function waitChild(pid: number): ExitStatus {
  const status = wait(P_PID, pid, 0);
  if (status === undefined) throw new Error('bug: waitid without WNOHANG found nothing');
  return status;
}

function wait(idType: number, id: number, options: number): ExitStatus | undefined {
  const info = Buffer.alloc(SIGINFO_BYTES);
  let result = waitidCall(idType, id, info, WEXITED | options);
  while (result < 0 && lastErrno() === 'EINTR') result = waitidCall(idType, id, info, WEXITED | options);
  checked(result, idType === P_PID ? `wait for process ${id}` : 'wait for a process');
  return readEnded(info)?.status;
}

/** The child that a siginfo_t of waitid(2) tells of, and how it ended; undefined where it tells of none. Source: man 2 waitid. */
export function readEnded(info: Buffer): { readonly pid: number; readonly status: ExitStatus } | undefined {
  const pid = info.readInt32LE(SI_PID);
  if (pid === 0) return undefined;
  const status = info.readInt32LE(SI_STATUS);
  const isExit = info.readInt32LE(SI_CODE) === CLD_EXITED;
  return { pid, status: isExit ? { kind: 'exited', code: status } : { kind: 'killed', signal: status } };
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
  const info = Buffer.alloc(SIGINFO_BYTES);
  let result = waitidCall(P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT);
  while (result < 0 && lastErrno() === 'EINTR') result = waitidCall(P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT);
  if (result < 0 && lastErrno() === 'ECHILD') return undefined;
  checked(result, 'look for a child that has ended');
  return readEnded(info)?.pid;
}

/** Has this process adopt the orphans among its descendants, or no longer. Errors: `host`. Source: man 2 PR_SET_CHILD_SUBREAPER. */
export function setChildSubreaper(adopts: boolean): void {
  checked(prctlCall(PR_SET_CHILD_SUBREAPER, adopts ? 1 : 0, 0, 0, 0), 'adopt orphans');
}
