import type { MemoryEntry, MemoryStats } from '../document.ts';
import { add, readInteger, readLines, readTable } from '../read.ts';
import { NO_ENTRY } from '../v1/memory.ts';
import { readPressure } from './pressure.ts';

const UNLIMITED = 0xffff_ffff_ffff_ffffn;

/** Memory in use. Swap is shown as on v1, memory included, because the document's readers subtract. */
export function readMemoryV2(hostPath: string): MemoryStats {
  const raw = readTable(hostPath, 'memory.stat');
  const usage = readEntry(hostPath, 'memory');
  return {
    cache: raw['file'] ?? 0,
    usage,
    swap: addMemory(readEntry(hostPath, 'memory.swap'), usage),
    kernel: NO_ENTRY,
    kernelTCP: NO_ENTRY,
    raw,
    ...readPressure(hostPath, 'memory.pressure'),
  };
}

/** `peak` is new in 5.19, that of swap in 6.5. A kernel without swap has none of its files. */
function readEntry(hostPath: string, prefix: string): MemoryEntry {
  if (readLines(hostPath, `${prefix}.current`).length === 0) return NO_ENTRY;
  return {
    limit: readInteger(hostPath, `${prefix}.max`),
    usage: readInteger(hostPath, `${prefix}.current`),
    max: readInteger(hostPath, `${prefix}.peak`),
    failcnt: readTable(hostPath, `${prefix}.events`)['max'] ?? 0,
  };
}

function addMemory(swap: MemoryEntry, memory: MemoryEntry): MemoryEntry {
  const isUnlimited = swap.limit === UNLIMITED || memory.limit === UNLIMITED;
  return {
    limit: isUnlimited ? UNLIMITED : add(swap.limit, memory.limit),
    usage: add(swap.usage, memory.usage),
    max: add(swap.max, memory.max),
    failcnt: swap.failcnt,
  };
}
