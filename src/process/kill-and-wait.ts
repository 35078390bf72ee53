import { hasErrno } from '../sys/errno.ts';
import { waitReadable } from '../sys/events/poll.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { pidfdSendSignal } from '../sys/process/pidfd.ts';
import { SIGNALS } from '../util/signals.ts';

/** How long a dying process may take: it can be stuck in the kernel, on a dead network file system for example. */
export const DEATH_TIMEOUT_MS = 10_000;

/** Kills a process, anybody's child, and waits for its end; false when `timeoutMs` passed first. One that is gone is fine. */
export async function killAndWait(pidfd: OwnedFd, timeoutMs: number): Promise<boolean> {
  try {
    pidfdSendSignal(pidfd.number, SIGNALS.KILL);
  } catch (error) {
    if (hasErrno(error, 'ESRCH')) return true;
    throw error;
  }
  return waitReadable(pidfd.number, timeoutMs);
}
