import { TsrunError } from '../../errors.ts';
import { readArch } from '../../host/facts.ts';
import { explainUnfit, type Look } from '../../plan/process/explain-unfit.ts';
import { planLook, planSayUnfit, UNFIT_BECAUSE, type UnfitErrno } from '../../plan/process/unfit.ts';
import { mayLook, meaningOfSilence } from '../../plan/seccomp/refusals.ts';
import type { SeccompPlan } from '../../plan/seccomp/load.ts';
import type { Reply, Talk } from '../../process/conversation.ts';
import { errnoName, errnoText } from '../../util/errno.ts';

/** The program that cannot be executed. */
export interface UnfitProgram {
  /** Of init. */
  readonly syncFd: number;
  /** Path inside the container. */
  readonly executable: string;
  /** The filter that is on by now. */
  readonly seccomp: SeccompPlan | undefined;
}

/**
 * The end of an init whose program cannot be executed: it says on its own standard error why, as it would have with runc and crun, and
 * ends. What is found out is found through init itself, which has the program's root and rights. Errors: `program` with all of it where
 * the filter keeps init from saying it.
 */
export async function sayUnfit(talk: Talk, { body }: Reply, program: UnfitProgram): Promise<void> {
  const { executable, syncFd, seccomp } = program;
  const errno = errnoName(-Number(body.readBigInt64LE(0))) as UnfitErrno;
  try {
    const found = mayLook(seccomp)
      ? await explainUnfit(executable, { arch: readArch(), look: lookThrough(talk, syncFd) })
      : undefined;
    // What is there by now may be another file than the one that failed.
    const why = found?.errno === errno ? found.why : UNFIT_BECAUSE[errno];
    if (meaningOfSilence(seccomp) !== 'success') throw unsaid(program, errno, why);
    await talk.runToEnd(planSayUnfit(`exec ${executable}: ${errnoText(errno)}; ${why}\n`));
  } catch (error) {
    // Somebody has ended it meanwhile: there is nobody left to say it.
    if (!(error instanceof TsrunError && error.code === 'init')) throw error;
  }
}

/** Where the filter keeps the container from saying it. */
function unsaid({ executable }: UnfitProgram, errno: UnfitErrno, why: string): TsrunError {
  return new TsrunError('program', `exec: ${JSON.stringify(executable)}: ${errnoText(errno)}; ${why}`, { errno });
}

function lookThrough(talk: Talk, syncFd: number): Look {
  return async (place) => {
    const { body } = await talk.run(planLook(syncFd, place));
    const [opened, size] = [Number(body.readBigInt64LE(0)), Number(body.readBigInt64LE(8))];
    if (opened < 0) return errnoName(-opened);
    return size < 0 ? errnoName(-size) : body.subarray(16, 16 + size);
  };
}
