import type { MemoryResources, Resources } from '../../../spec/generated/config.ts';
import type { Errno } from '../../../util/errno.ts';
import { checkMemory } from '../memory-rules.ts';
import type { Problems } from '../problems.ts';
import { isSet, maxOr, swapMax } from '../values.ts';
import type { CgroupWrite, ControllerPlace } from '../writes.ts';

const POINTER = '/linux/resources/memory';

/** config-linux.md, "Memory", on cgroup v2. `kernel` is obsolete and left alone, as on v1; `useHierarchy` always holds. */
export function planMemoryV2(resources: Resources, place: ControllerPlace, problems: Problems): CgroupWrite[] {
  const memory = resources.memory;
  if (memory === undefined) return [];
  checkMemory(memory, problems);
  reportV1Only(memory, problems);
  const { limit, reservation } = memory;
  const writes: CgroupWrite[] = [];
  if (memory.checkBeforeUpdate === true && isSet(limit) && BigInt(limit) !== -1n) {
    const label = 'compare the memory limit with the usage';
    writes.push({
      kind: 'check',
      ...place,
      file: 'memory.current',
      limit: String(limit),
      label,
      pointer: `${POINTER}/limit`,
    });
  }
  const value = (property: string, file: string, text: string, accept?: Errno[]): void => {
    const label = `set memory.${property}`;
    const more = accept === undefined ? {} : { accept };
    writes.push({ kind: 'value', ...place, file, value: text, label, pointer: `${POINTER}/${property}`, ...more });
  };
  const swap = swapMax(limit, memory.swap);
  // A kernel without swap has no such file, and neither "all of it" nor "none of it" loses anything there.
  if (swap !== undefined)
    value('swap', 'memory.swap.max', swap, swap === 'max' || swap === '0' ? ['ENOENT'] : undefined);
  if (isSet(limit)) value('limit', 'memory.max', maxOr(limit));
  if (isSet(reservation)) value('reservation', 'memory.low', maxOr(reservation));
  return writes;
}

/** crun refuses these too; a setting that is silently ignored is worse than an error (runtime.md, "Errors"). */
function reportV1Only(memory: MemoryResources, problems: Problems): void {
  const report = (property: string): void => {
    problems.unsupported(`${POINTER}/${property}`, 'cgroup v2 has no such setting');
  };
  if (memory.swappiness !== undefined) report('swappiness');
  if (memory.disableOOMKiller === true) report('disableOOMKiller');
  if (isSet(memory.kernelTCP) && BigInt(memory.kernelTCP) !== -1n) report('kernelTCP');
}
