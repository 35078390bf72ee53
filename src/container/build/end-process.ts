import { TsrunError } from '../../errors.ts';
import { DEATH_TIMEOUT_MS, killAndWait } from '../../process/kill-and-wait.ts';
import type { Partner } from '../../process/partner.ts';
import type { ExitStatus } from '../../sys/process/wait.ts';
import { wording } from '../../util/wording.ts';
import { openProcess, type ProcessIdentity } from '../store/process-identity.ts';

/** Kills the init of a container, and waits for its end. Errors: `status` when it does not die in time. */
export async function endProcess(identity: ProcessIdentity): Promise<void> {
  using pidfd = openProcess(identity);
  if (pidfd === undefined || (await killAndWait(pidfd, DEATH_TIMEOUT_MS))) return;
  throw new TsrunError('status', wording.initStillRunning);
}

/** Waits for the end of a program, however long that takes. Errors: `host` (ECHILD) where its end is told to somebody else. */
export async function waitForEnd(partner: Partner): Promise<ExitStatus> {
  const status = await partner.howItEnded();
  if (status !== undefined) return status;
  throw TsrunError.of('host', `wait for process ${partner.pid}`, 'ECHILD');
}
