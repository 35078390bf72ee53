import type { Integer } from '../../../plan/cgroup/values.ts';
import type { CpuStats } from '../document.ts';
import { multiply, parseInteger, readInteger, readLines, readTable } from '../read.ts';

/** USER_HZ is 100 on every architecture that tsrun runs on (include/uapi/asm-generic/param.h). */
const NANOSECONDS_A_TICK = 10_000_000;

/** CPU time, from the controllers cpuacct and cpu; the two are often mounted together. */
export function readCpuV1(cpuacct: string | undefined, cpu: string | undefined): CpuStats {
  return { usage: readUsage(cpuacct), throttling: readThrottling(cpu) };
}

function readUsage(hostPath: string | undefined): CpuStats['usage'] {
  if (hostPath === undefined) return { total: 0, kernel: 0, user: 0 };
  const ticks = readTable(hostPath, 'cpuacct.stat');
  // A heading, then a line for each CPU: its number, user time, system time.
  const [, ...rows] = readLines(hostPath, 'cpuacct.usage_all').map((line) => line.trim().split(' '));
  const column = (index: number): Integer[] => rows.map((fields) => parseInteger(fields[index] ?? ''));
  const [perCpu = ''] = readLines(hostPath, 'cpuacct.usage_percpu');
  return {
    total: readInteger(hostPath, 'cpuacct.usage'),
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

function readThrottling(hostPath: string | undefined): CpuStats['throttling'] {
  const stat = hostPath === undefined ? {} : readTable(hostPath, 'cpu.stat');
  return {
    periods: stat['nr_periods'] ?? 0,
    throttledPeriods: stat['nr_throttled'] ?? 0,
    throttledTime: stat['throttled_time'] ?? 0,
  };
}
