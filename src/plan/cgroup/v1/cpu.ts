import type { Resources } from '../../../spec/generated/config.ts';
import { isSet, NO_BURST } from '../values.ts';
import type { CgroupWrite, ControllerPlace, ValueWrite } from '../writes.ts';

const POINTER = '/linux/resources/cpu';

/** config-linux.md, "CPU", on cgroup v1, but for the real-time part and cpuset. */
export function planCpuV1(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const cpu = resources.cpu ?? {};
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
  // A group that is idle does not take shares (EINVAL), so that idle is settled first.
  if (cpu.idle !== undefined) value('idle', 'cpu.idle', String(cpu.idle));
  if (isSet(cpu.shares)) value('shares', 'cpu.shares', String(cpu.shares));
  // Each of the three is checked against the other two as they are, so that any of them may have to wait for the others.
  const again = ['EINVAL'] as const;
  if (cpu.burst !== undefined) {
    value('burst', 'cpu.cfs_burst_us', String(cpu.burst), { again, ...(!isSet(cpu.burst) && NO_BURST) });
  }
  if (isSet(cpu.period)) value('period', 'cpu.cfs_period_us', String(cpu.period), { again });
  if (isSet(cpu.quota)) value('quota', 'cpu.cfs_quota_us', String(cpu.quota), { again });
  return writes;
}

/** Real-time bandwidth: a real-time task cannot enter a group that has none, so that it is granted before anyone joins. */
export function planCpuRealtimeV1(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const { realtimePeriod, realtimeRuntime } = resources.cpu ?? {};
  const writes: CgroupWrite[] = [];
  if (isSet(realtimePeriod)) {
    const label = 'set cpu.realtimePeriod';
    const pointer = `${POINTER}/realtimePeriod`;
    writes.push({
      kind: 'value',
      ...place,
      file: 'cpu.rt_period_us',
      value: String(realtimePeriod),
      label,
      pointer,
      again: ['EINVAL'],
    });
  }
  if (isSet(realtimeRuntime)) {
    const label = 'set cpu.realtimeRuntime';
    const pointer = `${POINTER}/realtimeRuntime`;
    writes.push({ kind: 'value', ...place, file: 'cpu.rt_runtime_us', value: String(realtimeRuntime), label, pointer });
  }
  return writes;
}
