import type { Integer } from '../../../plan/cgroup/values.ts';
import type { CpuStats } from '../document.ts';
import { multiply, readTable } from '../read.ts';
import { readPressure } from './pressure.ts';

/** CPU time; the kernel counts microseconds here. */
export function readCpuV2(hostPath: string): CpuStats {
  const stat = readTable(hostPath, 'cpu.stat');
  const nanoseconds = (name: string): Integer => multiply(stat[name] ?? 0, 1000);
  return {
    usage: { total: nanoseconds('usage_usec'), kernel: nanoseconds('system_usec'), user: nanoseconds('user_usec') },
    throttling: {
      periods: stat['nr_periods'] ?? 0,
      throttledPeriods: stat['nr_throttled'] ?? 0,
      throttledTime: nanoseconds('throttled_usec'),
    },
    ...readPressure(hostPath, 'cpu.pressure'),
  };
}
