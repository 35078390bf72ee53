import type { Step } from '../program/step.ts';
import type { Process } from '../spec/generated/config.ts';
import { planAmbientSet, planBoundingSet, planCapabilitySets } from './capabilities.ts';
import type { PlanContext } from './context.ts';
import { planForgetCapabilities, planGroups, planIds, planKeepCapabilities } from './credentials.ts';
import { allocateCwdAnswers, planEnterCwd, planRetryCwd } from './cwd.ts';
import { planStdioOwner } from './stdio.ts';

/** From the container's root to the user that the program runs as, in two halves. The same for create and exec. */
export interface FinishPlan {
  /**
   * Into the working directory. In front of a filter that is loaded early: one that refuses getcwd(2) would keep the directory from
   * being verified.
   */
  readonly enter: Step[];
  /** To the user, with the capabilities of the program. */
  readonly become: Step[];
}

export function planFinishProcess(context: PlanContext, process: Process): FinishPlan {
  const cwd = allocateCwdAnswers(context);
  return {
    enter: [...planStdioOwner(context, process), ...planEnterCwd(process, cwd)],
    become: [
      ...planBoundingSet(context, process),
      ...planKeepCapabilities(),
      ...planGroups(context, process),
      ...planIds(context, process),
      ...planRetryCwd(process, cwd),
      ...planForgetCapabilities(),
      ...planCapabilitySets(context, process),
      ...planAmbientSet(context, process),
    ],
  };
}
