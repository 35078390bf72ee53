import { existsSync } from 'node:fs';

/** The tests' machine has cgroup v2 alone. */
export const isVersion2 = existsSync('/sys/fs/cgroup/cgroup.controllers');

/** Who makes the cgroups of containers: `TSRUN_TEST_CGROUP_MANAGER`. */
export const isSystemdManager = process.env.TSRUN_TEST_CGROUP_MANAGER === 'systemd';

/** Limits as both versions name them, below a container's directory; `cpu.shares` is `cpu.weight` in another scale. */
const LIMITS = {
  memory: ['memory.limit_in_bytes', 'memory.max'],
  quota: ['cpu.cfs_quota_us', 'cpu.max'],
  shares: ['cpu.shares', 'cpu.weight'],
  cpus: ['cpuset.cpus', 'cpuset.cpus'],
  pids: ['pids.max', 'pids.max'],
  processes: ['cgroup.procs', 'cgroup.procs'],
} as const;

/** Name of a limit. */
export type Limit = keyof typeof LIMITS;

/** The file of a limit of a cgroup: by default of the one that is the root where it is read. */
export function limitFile(limit: Limit, cgroup = ''): string {
  const [first, second] = LIMITS[limit];
  if (isVersion2) return `/sys/fs/cgroup${cgroup}/${second}`;
  const [controller = ''] = first.split('.');
  return `/sys/fs/cgroup/${controller === 'cgroup' ? 'pids' : controller}${cgroup}/${first}`;
}

/** What such a file says of a quota of each 100 ms, in microseconds. */
export function quotaText(quotaUs: number): string {
  return isVersion2 ? `${quotaUs} 100000` : `${quotaUs}`;
}

/** What such a file says of shares: with the formula of runtimes of the time, from 2..262144 to 1..10000. */
export function sharesText(shares: number): string {
  return isVersion2 ? `${1 + Math.trunc(((shares - 2) * 9999) / 262142)}` : `${shares}`;
}
