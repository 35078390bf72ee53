import { readFileSync, readlinkSync } from 'node:fs';
import { hasErrno } from '../../sys/errno.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { pidfdOpen } from '../../sys/process/pidfd.ts';

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat, in clock ticks since boot, as decimal text. */
  readonly startTime: string;
}

/** The identity of a live process; undefined when there is none. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const stat = readStat(pid);
  return stat === undefined ? undefined : { pid, startTime: stat.startTime };
}

/** Whether this very process still runs; a zombie does not, unless it is only the first thread that has ended. */
export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  const stat = readStat(pid);
  if (stat === undefined || stat.startTime !== startTime || stat.state === 'X') return false;
  return stat.state !== 'Z' || stat.threads > 1;
}

/** A pidfd of this very process, owned by the caller; undefined when it is gone. Errors: `host`. */
export function openProcess(identity: ProcessIdentity): OwnedFd | undefined {
  let pidfd: OwnedFd;
  try {
    pidfd = pidfdOpen(identity.pid);
  } catch (error) {
    if (hasErrno(error, 'ESRCH')) return undefined;
    throw error;
  }
  // Only now the number cannot change hands any more: a check before opening would prove nothing.
  if (isAlive(identity)) return pidfd;
  pidfd.close();
  return undefined;
}

/** The same for a process that may have ended, as long as nobody has taken its exit status. Errors: `host`. */
export function openUnreaped({ pid, startTime }: ProcessIdentity): OwnedFd | undefined {
  let pidfd: OwnedFd;
  try {
    pidfd = pidfdOpen(pid);
  } catch (error) {
    if (hasErrno(error, 'ESRCH', 'EINVAL')) return undefined;
    throw error;
  }
  if (readStat(pid)?.startTime === startTime) return pidfd;
  pidfd.close();
  return undefined;
}

/**
 * The status word of wait(2) of a process that has ended and that nobody has reaped; undefined of any other, and where the kernel does not
 * show it to this user: only the fields of those who may trace a process are more than zeros.
 */
export function readZombieStatus({ pid, startTime }: ProcessIdentity): number | undefined {
  try {
    // Whoever may not trace it may not read this link either.
    readlinkSync(`/proc/${pid}/ns/user`);
  } catch {
    return undefined;
  }
  const stat = readStat(pid);
  if (stat === undefined || stat.startTime !== startTime || stat.state !== 'Z' || stat.threads > 1) return undefined;
  return stat.exitCode;
}

/** The number under which a process knows itself, in its own pid namespace; man 5 proc_pid_status, NSpid. 0 when it is gone. */
export function innermostPid(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    // A process may have a line of 60,000 groups in front of it.
    const at = status.indexOf('\nNSpid:');
    if (at < 0) return pid;
    return Number(
      status
        .slice(at + 1, status.indexOf('\n', at + 1))
        .split(/\s+/)
        .at(-1),
    );
  } catch {
    return 0;
  }
}

/** man 5 proc_pid_stat: the second field is the name in parentheses and may itself contain any character. */
function readStat(pid: number): { state: string; threads: number; startTime: string; exitCode: number } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    // ENOENT and ESRCH say that it is gone; nothing else is expected of this file.
    return undefined;
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  const startTime = fields[19];
  if (state === undefined || startTime === undefined) return undefined;
  return { state, threads: Number(fields[17]), startTime, exitCode: Number(fields[49]) };
}
