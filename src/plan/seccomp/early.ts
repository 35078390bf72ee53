import type { DescriptorNumbers } from '../base/context.ts';
import type { FinishPlan } from '../process/finish-process.ts';
import type { PhaseList } from '../base/phases.ts';
import { planLoadFilter, planLoadListenedFilter, type CompiledSeccomp } from './load.ts';

/** Loads a filter that cannot wait (`SeccompPlan.position`); phase `seccomp` when it has a listener. */
export function addEarlyFilter(
  phases: PhaseList,
  { sync }: DescriptorNumbers,
  seccomp: CompiledSeccomp | undefined,
  { beforeFilter, afterFilter }: Pick<FinishPlan, 'beforeFilter' | 'afterFilter'>,
): void {
  if (seccomp?.position !== 'early') return;
  phases.add(beforeFilter);
  if (seccomp.listener === undefined) phases.add([planLoadFilter(seccomp)]);
  else phases.add(planLoadListenedFilter(sync, seccomp)).exchange('seccomp', 'load the seccomp filter');
  phases.add(afterFilter);
}
