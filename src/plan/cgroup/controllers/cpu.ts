import type { CpuResources, Resources } from '../../../spec/generated/config.ts';
import type { CpuStats } from '../stats.ts';
import { INFINITY, numberProperty, type UnitProperty } from '../unit-property.ts';
import { isSet, NO_BURST, weightFromShares, type Integer } from '../values.ts';
import { collectWrites, type CgroupWrite, type ControllerPlace } from '../writes.ts';
import type { Controller, SystemdOptions } from './controller.ts';
import { multiply, parseInteger, readInteger, readPressure, readTable, type CounterReader } from './counters.ts';
import { resourceSection, withoutZeros } from './section.ts';

/** config-linux.md, "CPU", but for cpuset. */
export const cpu: Controller = {
  names: { v1: 'cpu', v2: 'cpu' },
  v1: planV1,
  v2: planV2,
  systemd: planProperties,
  merge: resourceSection('cpu', { meant, written }),
};

/** Real-time bandwidth, which exists on v1 alone: a real-time task cannot enter a group that has none. */
export const cpuRealtime: Controller = { names: { v1: 'cpu' }, v1: planRealtime, early: true };

function planV1(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const cpu = resources.cpu ?? {};
  const { writes, value } = collectWrites(place, 'cpu');
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

function planRealtime(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const { realtimePeriod, realtimeRuntime } = resources.cpu ?? {};
  const { writes, value } = collectWrites(place, 'cpu');
  if (isSet(realtimePeriod)) value('realtimePeriod', 'cpu.rt_period_us', String(realtimePeriod), { again: ['EINVAL'] });
  if (isSet(realtimeRuntime)) value('realtimeRuntime', 'cpu.rt_runtime_us', String(realtimeRuntime));
  return writes;
}

/** The kernel's default period, microseconds. */
const DEFAULT_PERIOD_US = 100_000;

function planV2(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const cpu = resources.cpu;
  if (cpu === undefined) return [];
  const { writes, value } = collectWrites(place, 'cpu');
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

function planProperties({ cpu }: Resources, { unified }: SystemdOptions): UnitProperty[] {
  if (cpu === undefined) return [];
  const properties: UnitProperty[] = [];
  // CPUWeight=idle of version 252 is the weight 0.
  if (unified && cpu.idle === 1) properties.push(numberProperty('CPUWeight', 0n, 252));
  else if (isSet(cpu.shares)) {
    const shares = BigInt(cpu.shares);
    properties.push(
      unified ? numberProperty('CPUWeight', BigInt(weightFromShares(shares))) : numberProperty('CPUShares', shares),
    );
  }
  if (isSet(cpu.period)) properties.push(numberProperty('CPUQuotaPeriodUSec', BigInt(cpu.period), 242));
  if (isSet(cpu.quota) || isSet(cpu.period)) {
    properties.push(numberProperty('CPUQuotaPerSecUSec', quotaPerSecond(cpu.quota ?? 0, cpu.period ?? 0)));
  }
  return properties;
}

/** systemd takes a quota in steps of 10 ms. */
const QUOTA_STEP_US = 10_000n;
const US_PER_SECOND = 1_000_000n;

/** Microseconds of one second of wall clock, rounded up to what systemd takes. */
export function quotaPerSecond(quota: Integer, period: Integer): bigint {
  if (BigInt(quota) <= 0n) return INFINITY;
  const perSecond = (BigInt(quota) * US_PER_SECOND) / (isSet(period) ? BigInt(period) : BigInt(DEFAULT_PERIOD_US));
  return ((perSecond + QUOTA_STEP_US - 1n) / QUOTA_STEP_US) * QUOTA_STEP_US;
}

/** The cpuset of the section included. */
function meant(changes: CpuResources): CpuResources {
  const asked = withoutZeros(changes, 'shares', 'quota', 'period', 'realtimeRuntime', 'realtimePeriod');
  const { cpus, mems, ...rest } = asked;
  return { ...rest, ...(isText(cpus) && { cpus }), ...(isText(mems) && { mems }) };
}

function isText(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}

/** Quota and period are one file on cgroup v2, and each is checked against the other on v1. */
function written(changes: CpuResources, merged: CpuResources = {}): CpuResources {
  if (changes.quota === undefined && changes.period === undefined) return changes;
  const { quota, period } = merged;
  return { ...changes, ...(quota !== undefined && { quota }), ...(period !== undefined && { period }) };
}

/** USER_HZ is 100 on every architecture that tsrun runs on (include/uapi/asm-generic/param.h). */
const NANOSECONDS_A_TICK = 10_000_000;

/** CPU time, from the controllers cpuacct and cpu; the two are often mounted together. */
export function readCpuV1(cpuacct: CounterReader | undefined, cpu: CounterReader | undefined): CpuStats {
  return { usage: readUsage(cpuacct), throttling: readThrottling(cpu) };
}

function readUsage(files: CounterReader | undefined): CpuStats['usage'] {
  if (files === undefined) return { total: 0, kernel: 0, user: 0 };
  const ticks = readTable(files, 'cpuacct.stat');
  // A heading, then a line for each CPU: its number, user time, system time.
  const [, ...rows] = files.lines('cpuacct.usage_all').map((line) => line.trim().split(' '));
  const column = (index: number): Integer[] => rows.map((fields) => parseInteger(fields[index] ?? ''));
  const [perCpu = ''] = files.lines('cpuacct.usage_percpu');
  return {
    total: readInteger(files, 'cpuacct.usage'),
    kernel: multiply(ticks['system'] ?? 0, NANOSECONDS_A_TICK),
    user: multiply(ticks['user'] ?? 0, NANOSECONDS_A_TICK),
    percpu: perCpu
      .split(' ')
      .filter((text) => text !== '')
      .map(parseInteger),
    percpuKernel: column(2),
    percpuUser: column(1),
  };
}

function readThrottling(files: CounterReader | undefined): CpuStats['throttling'] {
  const stat = files === undefined ? {} : readTable(files, 'cpu.stat');
  return {
    periods: stat['nr_periods'] ?? 0,
    throttledPeriods: stat['nr_throttled'] ?? 0,
    throttledTime: stat['throttled_time'] ?? 0,
  };
}

/** CPU time; the kernel counts microseconds here. */
export function readCpuV2(files: CounterReader): CpuStats {
  const stat = readTable(files, 'cpu.stat');
  const nanoseconds = (name: string): Integer => multiply(stat[name] ?? 0, 1000);
  return {
    usage: { total: nanoseconds('usage_usec'), kernel: nanoseconds('system_usec'), user: nanoseconds('user_usec') },
    throttling: {
      periods: stat['nr_periods'] ?? 0,
      throttledPeriods: stat['nr_throttled'] ?? 0,
      throttledTime: nanoseconds('throttled_usec'),
    },
    ...readPressure(files, 'cpu.pressure'),
  };
}
