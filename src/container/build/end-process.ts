import { TsrunError } from '../../errors.ts';
import { hasErrno } from '../../sys/errno.ts';
import { pidfdOpen, pidfdSendSignal } from '../../sys/pidfd.ts';
import { waitReadable } from '../../sys/events/poll.ts';
import { reapChild, type ExitStatus } from '../../sys/wait.ts';
import { openProcess, type ProcessIdentity } from '../store/process-identity.ts';
import { words } from '../../util/words.ts';

const SIGKILL = 9;
/** How long a dying process may take: it can be stuck in the kernel, on a dead network file system for example. */
const DEATH_TIMEOUT_MS = 10_000;

/** Kills a child of this process, waits for its end and reaps it. One that was reaped already is fine. */
export async function endProcess(pid: number): Promise<void> {
  try {
    using pidfd = pidfdOpen(pid);
    if (reapChild(pid) !== undefined) return;
    pidfdSendSignal(pidfd.number, SIGKILL);
    if (!(await waitReadable(pidfd.number, DEATH_TIMEOUT_MS)))
      throw new TsrunError('init', `process ${pid} does not die`);
    reapChild(pid);
  } catch (error) {
    if (!hasErrno(error, 'ESRCH', 'ECHILD')) throw error;
  }
}

/**
 * How a child ended that closed its sockets: the kernel does that first, and what takes longer, such as undoing its mounts, before the
 * end can be waited for. It is reaped. Shape: undefined for one that lives on, or that was reaped already.
 */
export async function reapDying(pid: number): Promise<ExitStatus | undefined> {
  try {
    const ended = reapChild(pid);
    if (ended !== undefined) return ended;
    using pidfd = pidfdOpen(pid);
    return (await waitReadable(pidfd.number, DEATH_TIMEOUT_MS)) ? reapChild(pid) : undefined;
  } catch (error) {
    if (hasErrno(error, 'ESRCH', 'ECHILD')) return undefined;
    throw error;
  }
}

/** Kills a process that is nobody's child here, and waits for its end. Errors: `status` when it does not die in time. */
export async function killAndWait(identity: ProcessIdentity): Promise<void> {
  using pidfd = openProcess(identity);
  if (pidfd === undefined) return;
  try {
    pidfdSendSignal(pidfd.number, SIGKILL);
  } catch (error) {
    if (hasErrno(error, 'ESRCH')) return;
    throw error;
  }
  if (!(await waitReadable(pidfd.number, DEATH_TIMEOUT_MS))) throw new TsrunError('status', words.initStillRunning);
}
