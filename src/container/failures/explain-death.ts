import { TsrunError } from '../../errors.ts';
import { DEATH_TIMEOUT_MS } from '../../process/kill-and-wait.ts';
import type { Partner } from '../../process/partner.ts';
import { hasErrno } from '../../sys/errno.ts';
import { wording } from '../../util/wording.ts';

/**
 * What a failure of bringing a partner up comes from: an init that is gone tells nothing, the way it ended does. Where a limit that was
 * being set has ended it, systemd may have taken its cgroup away: that failure is the consequence.
 *
 * `wasOomKilled` tells whether the kernel has killed a process of the container's cgroup for want of memory meanwhile.
 */
export async function explainDeath(error: unknown, partner: Partner, wasOomKilled: () => boolean): Promise<unknown> {
  if (!(error instanceof TsrunError)) return error;
  const isGone = error.code === 'init' && hasErrno(error, 'EPIPE');
  if (!isGone && error.code !== 'cgroup') return error;
  const status = await partner.howItEnded(isGone ? DEATH_TIMEOUT_MS : 0);
  if (status === undefined) return error;
  // In runc's words.
  if (wasOomKilled()) return new TsrunError('init', wording.oomKilled, { cause: error });
  if (!isGone) return error;
  const end = status.kind === 'exited' ? `exit code ${status.code}` : `killed by signal ${status.signal}`;
  const hint = status.kind === 'killed' ? (HINTS[status.signal] ?? '') : '';
  return new TsrunError('init', `${error.message}: ${end}${hint}`, { cause: error });
}

const REFUSED = ' (the seccomp profile refuses a call that init makes when its filter is loaded)';
/** What a signal is a sign of. Init executes an instruction that is none (SIGILL, 4) where it is refused even exit_group(2). */
const HINTS: Readonly<Record<number, string>> = { 4: REFUSED, 9: ` ${wording.killedInSetup}`, 31: REFUSED };
