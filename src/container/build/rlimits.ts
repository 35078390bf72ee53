import { TsrunError } from '../../errors.ts';
import type { RlimitSetting } from '../../plan/process/rlimits.ts';
import { setRlimit } from '../../sys/process/prlimit.ts';
import { errnoText } from '../../util/errno.ts';

/** Sets the planned resource limits of a process. Errors: `step`, with the limit and its place in config.json. */
export function applyRlimits(pid: number, limits: readonly RlimitSetting[]): void {
  for (const limit of limits) {
    try {
      setRlimit(pid, limit);
    } catch (cause) {
      const errno = cause instanceof TsrunError ? (cause.errno ?? 'EIO') : 'EIO';
      throw new TsrunError('step', `${limit.label}: ${errnoText(errno)} (${limit.pointer} of config.json)`, {
        errno,
        cause,
      });
    }
  }
}
