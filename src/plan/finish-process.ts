import type { Region, Step } from '../program/step.ts';
import type { Process } from '../spec/generated/config.ts';
import { planAmbientSet, planBoundingSet, planCapabilitySets } from './capabilities.ts';
import type { PlanContext } from './context.ts';
import { planForgetCapabilities, planGroups, planIds, planKeepCapabilities } from './credentials.ts';
import { planEnterCwd, planRetryCwd, planVerifyCwd } from './cwd.ts';
import { planStdioOwner } from './stdio.ts';

/** From the container's root to the user that the program runs as. The same for create and exec. */
export function planBecomeUser(context: PlanContext, process: Process): Step[] {
  const entered: Region = context.memory.word('cwd-entered');
  return [
    ...planStdioOwner(context, process),
    ...planEnterCwd(process, entered),
    ...planBoundingSet(context, process),
    ...planKeepCapabilities(),
    ...planGroups(context, process),
    ...planIds(context, process),
    ...planRetryCwd(process, entered),
    ...planVerifyCwd(process),
    ...planForgetCapabilities(),
    ...planCapabilitySets(context, process),
    ...planAmbientSet(context, process),
  ];
}
