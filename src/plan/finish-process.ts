import type { Step } from '../program/step.ts';
import type { Process } from '../spec/generated/config.ts';
import { planAmbientSet, planBoundingSet, planCapabilitySets } from './capabilities.ts';
import type { PlanContext } from './context.ts';
import { planForgetCapabilities, planGroups, planIds, planKeepCapabilities } from './credentials.ts';
import { allocateCwdAnswers, planEnterCwd, planRetryCwd } from './cwd.ts';
import { planStdioOwner } from './stdio.ts';

/** From the container's root to the user that the program runs as. The same for create and exec. */
export interface FinishPlan {
  /**
   * To the user, into the working directory, with the capabilities of the program; what is looked up after that is looked up as the
   * program would.
   */
  readonly become: Step[];
  /** Around the loading of a filter that is loaded early: gets the right to do so, which `become` has kept, and gives it up. */
  readonly beforeFilter: Step[];
  readonly afterFilter: Step[];
}

/**
 * `filtersEarly`: a seccomp filter is loaded when all this is done, and nothing but the one call that gives up the right to load it has
 * to pass it.
 */
export function planFinishProcess(
  context: PlanContext,
  given: Process,
  { filtersEarly }: { readonly filtersEarly: boolean },
): FinishPlan {
  const cwd = allocateCwdAnswers(context);
  const process = filtersEarly ? { ...given, capabilities: given.capabilities ?? {} } : given;
  return {
    become: [
      ...planStdioOwner(context, process),
      ...planEnterCwd(process, cwd),
      ...planBoundingSet(context, process),
      ...planKeepCapabilities(),
      ...planGroups(context, process),
      ...planIds(context, process),
      ...planRetryCwd(process, cwd),
      ...planForgetCapabilities(),
      ...planCapabilitySets(context, process, filtersEarly ? 'permitted' : undefined),
      ...planAmbientSet(context, process),
    ],
    beforeFilter: filtersEarly ? planCapabilitySets(context, process, 'effective') : [],
    afterFilter: filtersEarly ? planCapabilitySets(context, process) : [],
  };
}
