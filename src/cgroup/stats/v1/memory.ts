import type { MemoryEntry, MemoryStats } from '../document.ts';
import { readInteger, readTable } from '../read.ts';

export const NO_ENTRY: MemoryEntry = { limit: 0, usage: 0, max: 0, failcnt: 0 };
export const NO_MEMORY: MemoryStats = {
  cache: 0,
  usage: NO_ENTRY,
  swap: NO_ENTRY,
  kernel: NO_ENTRY,
  kernelTCP: NO_ENTRY,
  raw: {},
};

/** Memory in use, with swap, and that of the kernel on the container's behalf. */
export function readMemoryV1(hostPath: string): MemoryStats {
  const raw = readTable(hostPath, 'memory.stat');
  const entry = (infix: string): MemoryEntry => ({
    limit: readInteger(hostPath, `memory.${infix}limit_in_bytes`),
    usage: readInteger(hostPath, `memory.${infix}usage_in_bytes`),
    max: readInteger(hostPath, `memory.${infix}max_usage_in_bytes`),
    failcnt: readInteger(hostPath, `memory.${infix}failcnt`),
  });
  return {
    cache: raw['cache'] ?? 0,
    usage: entry(''),
    swap: entry('memsw.'),
    kernel: entry('kmem.'),
    kernelTCP: entry('kmem.tcp.'),
    raw,
  };
}
