import { parseNumberList } from '../number-list.ts';
import type { CpusetStats } from '../document.ts';
import { readInteger, readLines } from '../read.ts';

const FLAGS = [
  'cpu_exclusive',
  'mem_hardwall',
  'mem_exclusive',
  'memory_migrate',
  'memory_spread_page',
  'memory_spread_slab',
  'memory_pressure',
  'sched_load_balance',
  'sched_relax_domain_level',
] as const;

/** What of a cpuset is not there: cgroup v2 has none of these files. */
export const NO_CPUSET: CpusetStats = { cpus: [], mems: [], flags: Object.fromEntries(FLAGS.map((name) => [name, 0])) };

/** The CPUs and memory nodes of the container, and the settings of its cpuset. */
export function readCpusetV1(hostPath: string | undefined): CpusetStats {
  if (hostPath === undefined) return NO_CPUSET;
  return {
    cpus: parseNumberList(readLines(hostPath, 'cpuset.cpus')[0] ?? ''),
    mems: parseNumberList(readLines(hostPath, 'cpuset.mems')[0] ?? ''),
    flags: Object.fromEntries(FLAGS.map((name) => [name, readInteger(hostPath, `cpuset.${name}`)])),
  };
}
