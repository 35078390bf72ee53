import { TsrunError } from '../../errors.ts';
import type { RlimitSetting } from '../../plan/process/rlimits.ts';
import { setRlimit } from '../../sys/process/prlimit.ts';

/** Sets the planned resource limits of a process. Errors: `step`, with the limit and its place in config.json. */
export function applyRlimits(pid: number, limits: readonly RlimitSetting[]): void {
  for (const limit of limits) {
    try {
      setRlimit(pid, limit);
    } catch (cause) {
      throw TsrunError.of('step', limit.label, cause, { pointer: limit.pointer });
    }
  }
}
