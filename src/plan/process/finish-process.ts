import type { Step } from '../../program/step.ts';
import type { Process } from '../../spec/generated/config.ts';
import { planAmbientSet, planBoundingSet, planCapabilitySets, planEnteringSets } from './capabilities.ts';
import type { PlanContext } from '../base/context.ts';
import { planForgetCapabilities, planGroups, planIds, planKeepCapabilities } from './credentials.ts';
import { allocateCwdAnswers, planEnterCwd, planRetryCwd, type CwdAnswers } from './cwd.ts';
import { planStdioOwner } from './stdio.ts';

/** From the container's root to the user that the program runs as. */
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

/** What, beside the config, decides which capabilities are left at the end. */
export interface FinishOptions {
  /**
   * A seccomp filter is loaded when all this is done, and nothing but the one call that gives up the right to load it has to pass it.
   */
  readonly filtersEarly: boolean;
}

/** Gives init the identity of its program: owner of the standard descriptors, working directory, groups, ids, capabilities. */
export function planFinishProcess(context: PlanContext, process: Process, options: FinishOptions): FinishPlan {
  const cwd = allocateCwdAnswers(context);
  return {
    become: [
      ...planStdioOwner(context, process),
      ...planEnterCwd(process, cwd),
      ...planBoundingSet(context, process),
      ...planKeepCapabilities(),
      ...planGroups(context, process),
      ...becomeUser(context, process, { ...options, cwd }),
    ],
    ...planAroundFilter(context, process, options),
  };
}

/** The same for a process that enters a container in which others can see it from its birth. */
export interface FinishEnteringPlan extends FinishPlan {
  /** Before it is born: all that takes a right which neither the program will have nor the rest of the way needs. */
  readonly shed: Step[];
}

/** `needed` are the capabilities that other steps behind the birth take. */
export function planFinishEntering(
  context: PlanContext,
  process: Process,
  { needed, ...options }: FinishOptions & { readonly needed: readonly string[] },
): FinishEnteringPlan {
  const cwd = allocateCwdAnswers(context);
  const { uid = 0, gid = 0 } = process.user ?? {};
  const ids = [...(uid === 0 ? [] : ['CAP_SETUID']), ...(gid === 0 ? [] : ['CAP_SETGID'])];
  return {
    shed: [
      ...planStdioOwner(context, process),
      ...planEnterCwd(process, cwd),
      ...planGroups(context, process),
      ...planBoundingSet(context, process),
      ...planEnteringSets(context, process, [...ids, ...needed]),
    ],
    become: [...planKeepCapabilities(), ...becomeUser(context, process, { ...options, cwd })],
    ...planAroundFilter(context, process, options),
  };
}

function becomeUser(
  context: PlanContext,
  process: Process,
  { cwd, filtersEarly }: FinishOptions & { readonly cwd: CwdAnswers },
): Step[] {
  return [
    ...planIds(context, process),
    ...planRetryCwd(process, cwd),
    ...planForgetCapabilities(),
    ...planCapabilitySets(context, process, filtersEarly ? 'permitted' : undefined),
    ...planAmbientSet(context, process),
  ];
}

function planAroundFilter(
  context: PlanContext,
  process: Process,
  { filtersEarly }: FinishOptions,
): Pick<FinishPlan, 'beforeFilter' | 'afterFilter'> {
  if (!filtersEarly) return { beforeFilter: [], afterFilter: [] };
  return {
    beforeFilter: planCapabilitySets(context, process, 'effective'),
    afterFilter: planCapabilitySets(context, process),
  };
}
