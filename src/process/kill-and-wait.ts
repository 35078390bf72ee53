import { hasErrno } from '../sys/errno.ts';
import { waitReadable } from '../sys/events/poll.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { pidfdSendSignal } from '../sys/process/pidfd.ts';

const SIGKILL = 9;

/** Kills a process, anybody's child, and waits for its end; false when `timeoutMs` passed first. One that is gone is fine. */
export async function killAndWait(pidfd: OwnedFd, timeoutMs: number): Promise<boolean> {
  try {
    pidfdSendSignal(pidfd.number, SIGKILL);
  } catch (error) {
    if (hasErrno(error, 'ESRCH')) return true;
    throw error;
  }
  return waitReadable(pidfd.number, timeoutMs);
}
