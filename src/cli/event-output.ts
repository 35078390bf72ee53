import type { ContainerEvent, ContainerStats } from '../container/store/options.ts';
import { stringifyJson } from '../spec/parse.ts';

type Value = number | bigint | undefined;

/**
 * One line of `events`. Shape: `{"type","id","data"}` in the names of runc's types/events.go; members that runc leaves out when they
 * are 0 are left out here too.
 */
export function formatEvent(event: ContainerEvent): string {
  const { type, id } = event;
  const data = event.type === 'stats' ? statsDocument(event.data) : undefined;
  return `${stringifyJson({ type, id, data })}\n`;
}

function statsDocument(stats: ContainerStats): object {
  const { cpu, cpuset, memory, pids, blkio, hugetlb, networkInterfaces } = stats;
  return {
    cpu: cpuDocument(cpu),
    cpuset: { ...filled({ cpus: cpuset.cpus, mems: cpuset.mems }), ...cpuset.flags },
    memory: memoryDocument(memory),
    pids: nonZero({ current: pids.current, limit: pids.limit }),
    blkio: blkioDocument(blkio),
    hugetlb: Object.fromEntries(
      Object.entries(hugetlb).map(([size, { usage, max, failcnt }]) => [size, { ...nonZero({ usage, max }), failcnt }]),
    ),
    // Intel RDT is not supported yet: as runc without it.
    intel_rdt: {},
    network_interfaces: networkInterfaces.length === 0 ? null : networkInterfaces.map(interfaceDocument),
  };
}

function cpuDocument({ usage, throttling, psi }: ContainerStats['cpu']): object {
  const { total, kernel, user, percpu, percpuKernel, percpuUser } = usage;
  const lists = filled({ percpu, percpu_kernel: percpuKernel, percpu_user: percpuUser });
  const { periods, throttledPeriods, throttledTime } = throttling;
  return {
    usage: { ...nonZero({ total }), ...lists, kernel, user },
    throttling: nonZero({ periods, throttledPeriods, throttledTime }),
    psi,
  };
}

function memoryDocument({ cache, usage, swap, kernel, kernelTCP, raw, psi }: ContainerStats['memory']): object {
  const entry = (of: ContainerStats['memory']['usage']): object => {
    const { limit, usage, max, failcnt } = of;
    return { limit, ...nonZero({ usage, max }), failcnt };
  };
  const sorted = Object.fromEntries(Object.entries(raw).sort(([a], [b]) => (a < b ? -1 : 1)));
  return {
    ...nonZero({ cache }),
    usage: entry(usage),
    swap: entry(swap),
    kernel: entry(kernel),
    kernelTCP: entry(kernelTCP),
    ...(Object.keys(sorted).length > 0 && { raw: sorted }),
    psi,
  };
}

function blkioDocument(blkio: ContainerStats['blkio']): object {
  const list = (entries: ContainerStats['blkio']['time']): object[] =>
    entries.map(({ major, minor, op, value }) => ({
      ...nonZero({ major, minor }),
      ...(op !== '' && { op }),
      ...nonZero({ value }),
    }));
  const lists = filled({
    ioServiceBytesRecursive: list(blkio.serviceBytes),
    ioServicedRecursive: list(blkio.serviced),
    // The one name without a "d", since the beginning.
    ioQueueRecursive: list(blkio.queued),
    ioServiceTimeRecursive: list(blkio.serviceTime),
    ioWaitTimeRecursive: list(blkio.waitTime),
    ioMergedRecursive: list(blkio.merged),
    ioTimeRecursive: list(blkio.time),
    sectorsRecursive: list(blkio.sectors),
  });
  return { ...lists, psi: blkio.psi };
}

/** runc gave these members no names of their own, so that they have those of its source. */
function interfaceDocument(one: ContainerStats['networkInterfaces'][number]): object {
  const members = Object.entries(one as unknown as Record<string, unknown>);
  return Object.fromEntries(members.map(([name, value]) => [name.charAt(0).toUpperCase() + name.slice(1), value]));
}

function nonZero(members: Readonly<Record<string, Value>>): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && BigInt(value) !== 0n));
}

function filled(members: Readonly<Record<string, readonly unknown[] | undefined>>): object {
  return Object.fromEntries(Object.entries(members).filter(([, list]) => (list?.length ?? 0) > 0));
}
