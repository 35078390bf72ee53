import type { BlkioEntry } from '../../plan/cgroup/stats.ts';
import type { ContainerStats } from '../../container/store/options.ts';
import type { Plain } from '../../library/plain.ts';
import { encode, type Given, type Integer } from '../../protobuf/codec.ts';
import type { Any } from '../wire/common.ts';
import { MEMORY_STAT_V1, MEMORY_STAT_V2, METRICS_V1, METRICS_V2 } from '../wire/metrics.ts';

type Stats = Plain<ContainerStats>;

/** What the kernel has counted, as containerd's clients read it: of cgroup v1, or of v2. */
export function encodeStats(stats: Stats, { isVersion1, oomKills }: { isVersion1: boolean; oomKills: Integer }): Any {
  return isVersion1
    ? { typeUrl: 'io.containerd.cgroups.v1.Metrics', value: encode(METRICS_V1, metricsV1(stats)) }
    : { typeUrl: 'io.containerd.cgroups.v2.Metrics', value: encode(METRICS_V2, metricsV2(stats, oomKills)) };
}

/** The largest value of the kernel is no limit, and no number can hold it. */
const UINT64_MAX = 0xffff_ffff_ffff_ffffn;

function whole(value: number | undefined): Integer {
  if (value === undefined || value <= 0) return 0;
  return value >= Number(UINT64_MAX) ? UINT64_MAX : Math.trunc(value);
}

function wholes<Part extends object>(part: Part): { readonly [Name in keyof Part]: Integer } {
  const entries = Object.entries(part).filter(([, value]) => typeof value === 'number');
  return Object.fromEntries(entries.map(([name, value]) => [name, whole(value as number)])) as {
    readonly [Name in keyof Part]: Integer;
  };
}

function pick<Name extends string>(
  names: readonly Name[],
  from: Readonly<Record<string, number>>,
): { readonly [Key in Name]: Integer } {
  return Object.fromEntries(names.map((name) => [name, whole(from[name])])) as { readonly [Key in Name]: Integer };
}

function metricsV1({ cpu, memory, pids, blkio, hugetlb, networkInterfaces }: Stats): Given<typeof METRICS_V1> {
  const entry = ({ major, minor, op, value }: Plain<BlkioEntry>) => ({
    op,
    major: whole(major),
    minor: whole(minor),
    value: whole(value),
  });
  const { serviceBytes, serviced, queued, serviceTime, waitTime, merged, time, sectors } = blkio;
  return {
    hugetlb: Object.entries(hugetlb).map(([pagesize, counted]) => ({ pagesize, ...wholes(counted) })),
    pids: wholes(pids),
    cpu: {
      usage: {
        total: whole(cpu.usage.total),
        kernel: whole(cpu.usage.kernel),
        user: whole(cpu.usage.user),
        percpu: cpu.usage.percpu?.map(whole) ?? [],
      },
      throttling: wholes(cpu.throttling),
    },
    memory: {
      ...pick(MEMORY_STAT_V1, memory.raw),
      usage: wholes(memory.usage),
      swap: wholes(memory.swap),
      kernel: wholes(memory.kernel),
      kernelTCP: wholes(memory.kernelTCP),
    },
    blkio: {
      serviceBytes: serviceBytes.map(entry),
      serviced: serviced.map(entry),
      queued: queued.map(entry),
      serviceTime: serviceTime.map(entry),
      waitTime: waitTime.map(entry),
      merged: merged.map(entry),
      time: time.map(entry),
      sectors: sectors.map(entry),
    },
    network: networkInterfaces.map((counted) => ({ ...counted, ...wholes(counted) })) as unknown as Given<
      typeof METRICS_V1
    >['network'] &
      object,
  };
}

function metricsV2({ cpu, memory, pids, blkio, hugetlb }: Stats, oomKill: Integer): Given<typeof METRICS_V2> {
  const { usage, swap, raw } = memory;
  return {
    pids: wholes(pids),
    cpu: {
      usageUs: whole(cpu.usage.total / 1000),
      userUs: whole(cpu.usage.user / 1000),
      systemUs: whole(cpu.usage.kernel / 1000),
      periods: whole(cpu.throttling.periods),
      throttled: whole(cpu.throttling.throttledPeriods),
      throttledUs: whole(cpu.throttling.throttledTime / 1000),
    },
    memory: {
      ...pick(MEMORY_STAT_V2, raw),
      usage: whole(usage.usage),
      usageLimit: whole(usage.limit),
      // What is counted together elsewhere is told apart here.
      swapUsage: whole(swap.usage - usage.usage),
      swapLimit: whole(swap.limit >= Number(UINT64_MAX) ? swap.limit : swap.limit - usage.limit),
    },
    io: { usage: ioEntries(blkio.serviceBytes, blkio.serviced) },
    hugetlb: Object.entries(hugetlb).map(([pagesize, { usage, max }]) => ({
      pagesize,
      current: whole(usage),
      max: whole(max),
    })),
    memoryEvents: { oomKill },
  };
}

function ioEntries(bytes: readonly Plain<BlkioEntry>[], counts: readonly Plain<BlkioEntry>[]) {
  const devices = new Map(bytes.map(({ major, minor }) => [`${major}:${minor}`, { major, minor }]));
  return [...devices.values()].map(({ major, minor }) => {
    const find = (entries: readonly Plain<BlkioEntry>[], op: string): Integer =>
      whole(entries.find((entry) => entry.major === major && entry.minor === minor && entry.op === op)?.value);
    return {
      major: whole(major),
      minor: whole(minor),
      readBytes: find(bytes, 'Read'),
      writtenBytes: find(bytes, 'Write'),
      reads: find(counts, 'Read'),
      writes: find(counts, 'Write'),
    };
  });
}
