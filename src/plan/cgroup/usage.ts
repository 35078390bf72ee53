import type { Stats } from './stats.ts';
import type { Integer } from './values.ts';

/** What a container uses, as people ask for it. */
export interface Usage {
  /** Of one processor, so that 200 is two of them all the time; undefined where nothing was counted before. */
  readonly cpuPercent: number | undefined;
  /** Bytes, without the page cache that the kernel would give up first. */
  readonly memory: number;
  /** Bytes; the host's memory where that is less, as without any limit. */
  readonly memoryLimit: number;
  readonly pids: number;
  /** 0 is no limit. */
  readonly pidsLimit: number;
  /** Bytes. */
  readonly blockRead: number;
  readonly blockWritten: number;
  readonly networkReceived: number;
  readonly networkSent: number;
}

/** Statistics at a moment. */
export interface Sample {
  readonly stats: Stats & {
    readonly networkInterfaces: readonly { readonly rxBytes: number; readonly txBytes: number }[];
  };
  /** Milliseconds, of a clock that only goes on. */
  readonly atMs: number;
}

/** What a container uses, by what was counted, at a moment and at one before. `hostMemory`: bytes. */
export function usageOf(
  { stats, atMs }: Sample,
  before: Sample | undefined,
  { hostMemory }: { readonly hostMemory: number },
): Usage {
  const { cpu, memory, pids, blkio, networkInterfaces } = stats;
  const limit = Number(memory.usage.limit);
  const bytes = (operation: string): number =>
    sum(blkio.serviceBytes.filter(({ op }) => op === operation).map(({ value }) => value));
  return {
    cpuPercent: before && percentBetween(cpu.usage.total, atMs, before),
    memory: Math.max(0, Number(memory.usage.usage) - idleCache(stats)),
    memoryLimit: limit > 0 ? Math.min(limit, hostMemory) : hostMemory,
    pids: Number(pids.current),
    pidsLimit: Number(pids.limit),
    blockRead: bytes('Read'),
    blockWritten: bytes('Write'),
    networkReceived: sum(networkInterfaces.map(({ rxBytes }) => rxBytes)),
    networkSent: sum(networkInterfaces.map(({ txBytes }) => txBytes)),
  };
}

const NANOSECONDS_PER_MS = 1e6;

function percentBetween(total: Integer, atMs: number, before: Sample): number {
  const passedMs = atMs - before.atMs;
  const usedMs = Number(BigInt(total) - BigInt(before.stats.cpu.usage.total)) / NANOSECONDS_PER_MS;
  return passedMs <= 0 || usedMs <= 0 ? 0 : (usedMs / passedMs) * 100;
}

/** In memory.stat: cgroup v1 counts the cgroups below in fields of their own. */
function idleCache({ memory: { raw } }: Stats): number {
  return Number(raw['total_inactive_file'] ?? raw['inactive_file'] ?? 0);
}

function sum(values: readonly Integer[]): number {
  return values.reduce<number>((all, value) => all + Number(value), 0);
}
