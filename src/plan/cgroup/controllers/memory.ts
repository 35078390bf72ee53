import type { MemoryResources, Resources } from '../../../spec/generated/config.ts';
import type { Problems } from '../problems.ts';
import type { MemoryEntry, MemoryStats } from '../stats.ts';
import { limitProperty, INFINITY, numberProperty, type UnitProperty } from '../unit-property.ts';
import { isSet, maxOr, swapMax, toInteger } from '../values.ts';
import { collectWrites, type CgroupWrite, type ControllerPlace } from '../writes.ts';
import type { Controller, Counted, SystemdOptions } from './controller.ts';
import { add, readInteger, readPressure, readTable, type CounterReader } from './counters.ts';
import { resourceSection, withoutZeros, type MergeOptions } from './section.ts';

const POINTER = '/linux/resources/memory';

/** config-linux.md, "Memory". */
export const memory: Controller = {
  names: { v1: 'memory', v2: 'memory' },
  v1: planV1,
  v2: planV2,
  systemd: planProperties,
  merge: resourceSection('memory', { meant, merge, written }),
  undo: ({ file }, before) =>
    file === 'memory.oom_control' ? [/^oom_kill_disable (\d)/m.exec(before)?.[1] ?? '0'] : undefined,
};

/** `kernel` is obsolete and left alone: the kernel dropped the limit in 5.16. */
function planV1(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const memory = resources.memory;
  if (memory === undefined) return [];
  const { limit, reservation, kernelTCP, swappiness } = memory;
  const unlimited = limit !== undefined && BigInt(limit) === -1n;
  // Without a wish for swap an unlimited memory means unlimited swap too: memsw may not be below memory.
  const swap = unlimited && !isSet(memory.swap) ? -1 : memory.swap;
  const { writes, value } = collectWrites(place, 'memory');
  writes.push(...checkUsage(memory, 'memory.usage_in_bytes', place));
  // The kernel wants limit <= memsw at every moment: when the old memsw is below the new limit, the limit comes second.
  const usage = { current: 'memory.usage_in_bytes', peak: 'memory.max_usage_in_bytes' };
  if (isSet(limit)) value('limit', 'memory.limit_in_bytes', String(limit), { again: ['EINVAL'], usage });
  if (isSet(swap)) {
    const harmless = BigInt(swap) === -1n ? ({ accept: ['ENOENT'] } as const) : {};
    value('swap', 'memory.memsw.limit_in_bytes', String(swap), harmless);
  }
  if (isSet(reservation)) value('reservation', 'memory.soft_limit_in_bytes', String(reservation));
  if (isSet(kernelTCP)) value('kernelTCP', 'memory.kmem.tcp.limit_in_bytes', String(kernelTCP));
  if (swappiness !== undefined) value('swappiness', 'memory.swappiness', String(swappiness));
  if (memory.disableOOMKiller === true) value('disableOOMKiller', 'memory.oom_control', '1');
  if (memory.useHierarchy === true) value('useHierarchy', 'memory.use_hierarchy', '1');
  return writes;
}

/** `kernel` is obsolete and left alone, as on v1; `useHierarchy` always holds. */
function planV2(resources: Resources, place: ControllerPlace, problems: Problems): CgroupWrite[] {
  const memory = resources.memory;
  if (memory === undefined) return [];
  reportV1Only(memory, problems);
  const { limit, reservation } = memory;
  const { writes, value } = collectWrites(place, 'memory');
  writes.push(...checkUsage(memory, 'memory.current', place));
  const swap = swapMax(limit, memory.swap);
  // A kernel without swap has no such file, and neither "all of it" nor "none of it" loses anything there.
  if (swap !== undefined)
    value('swap', 'memory.swap.max', swap, swap === 'max' || swap === '0' ? { accept: ['ENOENT'] } : {});
  if (isSet(limit)) value('limit', 'memory.max', maxOr(limit));
  if (isSet(reservation)) value('reservation', 'memory.low', maxOr(reservation));
  return writes;
}

/** Refuses a limit below what is in use, where that is asked for. */
function checkUsage(
  { checkBeforeUpdate, limit }: MemoryResources,
  file: string,
  place: ControllerPlace,
): CgroupWrite[] {
  if (checkBeforeUpdate !== true || !isLimited(limit)) return [];
  const label = 'compare the memory limit with the usage';
  return [{ kind: 'check', ...place, file, limit: String(limit), label, pointer: `${POINTER}/limit` }];
}

/** crun refuses these too; a setting that is silently ignored is worse than an error (runtime.md, "Errors"). */
function reportV1Only(memory: MemoryResources, problems: Problems): void {
  const report = (property: string): void => {
    problems.unsupported(`${POINTER}/${property}`, 'cgroup v2 has no such setting');
  };
  if (memory.swappiness !== undefined) report('swappiness');
  if (memory.disableOOMKiller === true) report('disableOOMKiller');
  if (isSet(memory.kernelTCP) && BigInt(memory.kernelTCP) !== -1n) report('kernelTCP');
}

function planProperties({ memory }: Resources, { unified }: SystemdOptions): UnitProperty[] {
  if (memory === undefined) return [];
  const properties: UnitProperty[] = [];
  if (isSet(memory.limit)) properties.push(limitProperty(unified ? 'MemoryMax' : 'MemoryLimit', memory.limit));
  if (!unified) return properties;
  if (isSet(memory.reservation)) properties.push(limitProperty('MemoryLow', memory.reservation));
  const swap = swapMax(memory.limit, memory.swap);
  if (swap !== undefined) properties.push(numberProperty('MemorySwapMax', swap === 'max' ? INFINITY : BigInt(swap)));
  return properties;
}

/** The obsolete limits of kernel memory are never touched. */
function meant(changes: MemoryResources): MemoryResources {
  const { kernel: _kernel, kernelTCP: _kernelTCP, ...rest } = changes;
  const asked = withoutZeros(rest, 'limit', 'swap', 'reservation');
  // Memory without a limit is memory and swap without one: both runc and the kernel see it so.
  const isUnlimited = asked.limit !== undefined && BigInt(asked.limit) === -1n;
  return isUnlimited && asked.swap === undefined ? { ...asked, swap: -1 } : asked;
}

/**
 * config.json counts memory and swap together. Where the kernel limits swap apart (cgroup v2), a new limit of memory leaves that of
 * swap alone, and the sum follows.
 */
function merge(
  old: MemoryResources | undefined = {},
  changes: MemoryResources,
  { swapIsApart }: MergeOptions,
): MemoryResources {
  const merged = { ...old, ...changes };
  const { limit, swap } = old;
  if (!swapIsApart || changes.swap !== undefined || changes.limit === undefined) return merged;
  if (!isLimited(limit) || !isLimited(swap)) return merged;
  return { ...merged, swap: toInteger(BigInt(swap) - BigInt(limit) + BigInt(changes.limit)) };
}

function isLimited(value: number | bigint | undefined): value is number | bigint {
  return isSet(value) && BigInt(value) !== -1n;
}

/** The limit of swap is understood beside that of memory; only a new limit of memory is compared with the usage. */
function written(changes: MemoryResources, merged: MemoryResources = {}): MemoryResources {
  const { checkBeforeUpdate: _check, ...rest } = changes;
  if (changes.limit !== undefined) return { ...rest, checkBeforeUpdate: merged.checkBeforeUpdate === true };
  if (changes.swap === undefined || merged.limit === undefined) return rest;
  return { ...rest, limit: merged.limit };
}

const NO_ENTRY: MemoryEntry = { limit: 0, usage: 0, max: 0, failcnt: 0 };
const NO_MEMORY: MemoryStats = {
  cache: 0,
  usage: NO_ENTRY,
  swap: NO_ENTRY,
  kernel: NO_ENTRY,
  kernelTCP: NO_ENTRY,
  raw: {},
};

/** Memory in use, with swap, and that of the kernel on the container's behalf. */
function readMemoryV1(files: CounterReader): MemoryStats {
  const raw = readTable(files, 'memory.stat');
  const entry = (infix: string): MemoryEntry => ({
    limit: readInteger(files, `memory.${infix}limit_in_bytes`),
    usage: readInteger(files, `memory.${infix}usage_in_bytes`),
    max: readInteger(files, `memory.${infix}max_usage_in_bytes`),
    failcnt: readInteger(files, `memory.${infix}failcnt`),
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

const UNLIMITED = 0xffff_ffff_ffff_ffffn;

/** Memory in use. Swap is shown as on v1, memory included, because the document's readers subtract. */
function readMemoryV2(files: CounterReader): MemoryStats {
  const raw = readTable(files, 'memory.stat');
  const usage = readEntry(files, 'memory');
  return {
    cache: raw['file'] ?? 0,
    usage,
    swap: addMemory(readEntry(files, 'memory.swap'), usage),
    kernel: NO_ENTRY,
    kernelTCP: NO_ENTRY,
    raw,
    ...readPressure(files, 'memory.pressure'),
  };
}

/** `peak` is new in 5.19, that of swap in 6.5. A kernel without swap has none of its files. */
function readEntry(files: CounterReader, prefix: string): MemoryEntry {
  if (files.lines(`${prefix}.current`).length === 0) return NO_ENTRY;
  return {
    limit: readInteger(files, `${prefix}.max`),
    usage: readInteger(files, `${prefix}.current`),
    max: readInteger(files, `${prefix}.peak`),
    failcnt: readTable(files, `${prefix}.events`)['max'] ?? 0,
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

/** Memory in use. */
export const memoryStats: Counted<MemoryStats> = { v1: readMemoryV1, v2: readMemoryV2, none: NO_MEMORY };
