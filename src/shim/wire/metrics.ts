import { list, nested, text, uint64, type Field, type Fields, type Integer } from '../../protobuf/codec.ts';

/** Fields of integers, numbered from `first` in the order of their names. */
function counters<const Names extends readonly string[]>(
  first: number,
  names: Names,
): { readonly [Name in Names[number]]: Field<Integer> } {
  const fields = names.map((name, index) => [name, uint64(first + index)] as const);
  return Object.fromEntries(fields) as { readonly [Name in Names[number]]: Field<Integer> };
}

const PIDS = counters(1, ['current', 'limit']);
const ENTRY = counters(1, ['limit', 'usage', 'max', 'failcnt']);

/** memory.stat of cgroup v1, by the names that the kernel has there, as far as the message has them. */
const STAT_V1 = [
  'cache',
  'rss',
  'rss_huge',
  'mapped_file',
  'dirty',
  'writeback',
  'pgpgin',
  'pgpgout',
  'pgfault',
  'pgmajfault',
  'inactive_anon',
  'active_anon',
  'inactive_file',
  'active_file',
  'unevictable',
] as const;

/** In the order of their numbers. */
export const MEMORY_STAT_V1 = [
  ...STAT_V1,
  'hierarchical_memory_limit',
  'hierarchical_memsw_limit',
  ...STAT_V1.map((name) => `total_${name}` as const),
] as const;

const BLKIO_ENTRY = { op: text(1), device: text(2), ...counters(3, ['major', 'minor', 'value']) };

/** Name in what tsrun counts -> list of the message. */
const BLKIO = {
  serviceBytes: list(nested(1, BLKIO_ENTRY)),
  serviced: list(nested(2, BLKIO_ENTRY)),
  queued: list(nested(3, BLKIO_ENTRY)),
  serviceTime: list(nested(4, BLKIO_ENTRY)),
  waitTime: list(nested(5, BLKIO_ENTRY)),
  merged: list(nested(6, BLKIO_ENTRY)),
  time: list(nested(7, BLKIO_ENTRY)),
  sectors: list(nested(8, BLKIO_ENTRY)),
};

const NETWORK_COUNTERS = [
  'rxBytes',
  'rxPackets',
  'rxErrors',
  'rxDropped',
  'txBytes',
  'txPackets',
  'txErrors',
  'txDropped',
] as const;

/** io.containerd.cgroups.v1.Metrics. Source: containerd/cgroups, cgroup1/stats/metrics.proto. */
export const METRICS_V1 = {
  hugetlb: list(nested(1, { ...counters(1, ['usage', 'max', 'failcnt']), pagesize: text(4) })),
  pids: nested(2, PIDS),
  cpu: nested(3, {
    usage: nested(1, { ...counters(1, ['total', 'kernel', 'user']), percpu: list(uint64(4)) }),
    throttling: nested(2, counters(1, ['periods', 'throttledPeriods', 'throttledTime'])),
  }),
  memory: nested(4, {
    ...counters(1, MEMORY_STAT_V1),
    usage: nested(33, ENTRY),
    swap: nested(34, ENTRY),
    kernel: nested(35, ENTRY),
    kernelTCP: nested(36, ENTRY),
  }),
  blkio: nested(5, BLKIO),
  network: list(nested(7, { name: text(1), ...counters(2, NETWORK_COUNTERS) })),
} satisfies Fields;

/** memory.stat of cgroup v2, in the order of their numbers. */
export const MEMORY_STAT_V2 = [
  'anon',
  'file',
  'kernel_stack',
  'slab',
  'sock',
  'shmem',
  'file_mapped',
  'file_dirty',
  'file_writeback',
  'anon_thp',
  'inactive_anon',
  'active_anon',
  'inactive_file',
  'active_file',
  'unevictable',
  'slab_reclaimable',
  'slab_unreclaimable',
  'pgfault',
  'pgmajfault',
  'workingset_refault',
  'workingset_activate',
  'workingset_nodereclaim',
  'pgrefill',
  'pgscan',
  'pgsteal',
  'pgactivate',
  'pgdeactivate',
  'pglazyfree',
  'pglazyfreed',
  'thp_fault_alloc',
  'thp_collapse_alloc',
] as const;

/** io.containerd.cgroups.v2.Metrics. Source: containerd/cgroups, cgroup2/stats/metrics.proto. */
export const METRICS_V2 = {
  pids: nested(1, PIDS),
  cpu: nested(2, counters(1, ['usageUs', 'userUs', 'systemUs', 'periods', 'throttled', 'throttledUs'])),
  memory: nested(4, {
    ...counters(1, MEMORY_STAT_V2),
    ...counters(32, ['usage', 'usageLimit', 'swapUsage', 'swapLimit']),
  }),
  io: nested(6, {
    usage: list(nested(1, counters(1, ['major', 'minor', 'readBytes', 'writtenBytes', 'reads', 'writes']))),
  }),
  hugetlb: list(nested(7, { ...counters(1, ['current', 'max']), pagesize: text(3) })),
  memoryEvents: nested(8, counters(1, ['low', 'high', 'max', 'oom', 'oomKill'])),
} satisfies Fields;
