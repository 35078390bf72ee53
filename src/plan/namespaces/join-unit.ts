import type { DescriptorNumbers } from '../base/context.ts';
import type { PhaseList } from '../base/phases.ts';
import { reply } from '../base/reply.ts';

/**
 * Phase `cgroup`: only systemd makes and fills the cgroup of a unit, and it takes processes that exist. Everything that init clones
 * afterwards is born there.
 */
export function addUnit({ sync }: Pick<DescriptorNumbers, 'sync'>, phases: PhaseList): void {
  phases.add([reply(sync, 'cgroup', 'wait for its cgroup')]).exchange('cgroup', 'start init');
}
