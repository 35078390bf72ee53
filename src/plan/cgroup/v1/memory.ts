import type { Resources } from '../../../spec/generated/config.ts';
import { checkMemory } from '../memory-rules.ts';
import type { Problems } from '../problems.ts';
import { isSet } from '../values.ts';
import type { CgroupWrite, ControllerPlace, ValueWrite } from '../writes.ts';

/** config-linux.md, "Memory", on cgroup v1. `kernel` is obsolete and left alone: the kernel dropped the limit in 5.16. */
export function planMemoryV1(resources: Resources, place: ControllerPlace, problems: Problems): CgroupWrite[] {
  const memory = resources.memory;
  if (memory === undefined) return [];
  checkMemory(memory, problems);
  checkSwappiness(memory.swappiness, problems);
  const { limit, reservation, kernelTCP, swappiness } = memory;
  const unlimited = limit !== undefined && BigInt(limit) === -1n;
  // Without a wish for swap an unlimited memory means unlimited swap too: memsw may not be below memory.
  const swap = unlimited && !isSet(memory.swap) ? -1 : memory.swap;
  const pointer = '/linux/resources/memory';
  const writes: CgroupWrite[] = [];
  if (memory.checkBeforeUpdate === true && isSet(limit) && !unlimited) {
    const label = 'compare the memory limit with the usage';
    writes.push({
      kind: 'check',
      ...place,
      file: 'memory.usage_in_bytes',
      limit: String(limit),
      label,
      pointer: `${pointer}/limit`,
    });
  }
  const value = (
    property: string,
    file: string,
    text: string,
    more: Pick<ValueWrite, 'accept' | 'again' | 'usage'> = {},
  ): void => {
    const label = `set memory.${property}`;
    writes.push({ kind: 'value', ...place, file, value: text, label, pointer: `${pointer}/${property}`, ...more });
  };
  // The kernel wants limit <= memsw at every moment: when the old memsw is below the new limit, the limit comes second.
  const usage = { current: 'memory.usage_in_bytes', peak: 'memory.max_usage_in_bytes' };
  if (isSet(limit)) value('limit', 'memory.limit_in_bytes', String(limit), { again: ['EINVAL'], usage });
  if (isSet(swap)) {
    const harmless = BigInt(swap) === -1n ? ({ accept: ['ENOENT'] } as const) : {};
    value('swap', 'memory.memsw.limit_in_bytes', String(swap), harmless);
  }
  if (isSet(reservation)) value('reservation', 'memory.soft_limit_in_bytes', String(reservation));
  if (isSet(kernelTCP)) value('kernelTCP', 'memory.kmem.tcp.limit_in_bytes', String(kernelTCP));
  if (swappiness !== undefined) value('swappiness', 'memory.swappiness', String(swappiness));
  if (memory.disableOOMKiller === true) value('disableOOMKiller', 'memory.oom_control', '1');
  if (memory.useHierarchy === true) value('useHierarchy', 'memory.use_hierarchy', '1');
  return writes;
}

function checkSwappiness(swappiness: number | undefined, problems: Problems): void {
  if (swappiness === undefined || (swappiness >= 0 && swappiness <= 100)) return;
  problems.wrong('/linux/resources/memory/swappiness', `expected 0 to 100, found ${swappiness}`);
}
