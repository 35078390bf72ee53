import type { Resources } from '../../../spec/generated/config.ts';
import { isSet, NO_BURST, weightFromShares } from '../values.ts';
import type { CgroupWrite, ControllerPlace, ValueWrite } from '../writes.ts';

const POINTER = '/linux/resources/cpu';
/** The kernel's default period, microseconds. */
const DEFAULT_PERIOD_US = 100_000;

/** config-linux.md, "CPU", on cgroup v2, but for cpuset. Real-time bandwidth exists on v1 only. */
export function planCpuV2(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const cpu = resources.cpu;
  if (cpu === undefined) return [];
  const writes: CgroupWrite[] = [];
  const value = (
    property: string,
    file: string,
    text: string,
    more: Pick<ValueWrite, 'accept' | 'again'> = {},
  ): void => {
    const label = `set cpu.${property}`;
    writes.push({ kind: 'value', ...place, file, value: text, label, pointer: `${POINTER}/${property}`, ...more });
  };
  // A group that is idle does not take a weight (EINVAL), so that idle is settled first.
  if (cpu.idle !== undefined) value('idle', 'cpu.idle', String(cpu.idle));
  if (isSet(cpu.shares)) value('shares', 'cpu.weight', String(weightFromShares(cpu.shares)));
  // The burst may not exceed the quota: when the old quota is too small, it comes after the new one.
  if (cpu.burst !== undefined) {
    value('burst', 'cpu.max.burst', String(cpu.burst), { again: ['EINVAL'], ...(!isSet(cpu.burst) && NO_BURST) });
  }
  if (isSet(cpu.quota) || isSet(cpu.period)) {
    const quota = isSet(cpu.quota) && BigInt(cpu.quota) > 0n ? String(cpu.quota) : 'max';
    const period = isSet(cpu.period) ? cpu.period : DEFAULT_PERIOD_US;
    value(isSet(cpu.quota) ? 'quota' : 'period', 'cpu.max', `${quota} ${period}`);
  }
  return writes;
}
