import type {
  BlockIo,
  CpuResources,
  MemoryResources,
  NetworkResources,
  Resources,
} from '../../spec/generated/config.ts';
import { isSet, toInteger } from './values.ts';

/**
 * The changes of an update that ask for something: callers fill in every member of a document, with 0 and empty text for "leave
 * it". A pids limit of 0 is one that is meant. Device rules are left out, because an update never touches them, and so are the obsolete limits of kernel memory.
 */
export function meantChanges(changes: Resources): Resources {
  const { devices: _devices, memory, cpu, pids, blockIO, ...others } = changes;
  return {
    ...others,
    ...(memory !== undefined && { memory: meantMemory(memory) }),
    ...(cpu !== undefined && { cpu: meantCpu(cpu) }),
    ...(pids?.limit !== undefined && { pids }),
    ...(blockIO !== undefined && { blockIO: without(blockIO, 'weight', 'leafWeight') }),
  };
}

/**
 * What the container's resources are after an update: members that changes name replace the old ones; of lists, the entries for the
 * same device, page size or interface. `changes` are those of `meantChanges`.
 */
export function mergeResources(old: Resources, changes: Resources, options: { swapIsApart: boolean }): Resources {
  const { memory, cpu, blockIO, network, hugepageLimits, rdma, unified, ...others } = changes;
  return {
    ...old,
    ...others,
    ...(memory !== undefined && { memory: mergeMemory(old.memory, memory, options) }),
    ...(cpu !== undefined && { cpu: { ...old.cpu, ...cpu } }),
    ...(blockIO !== undefined && { blockIO: mergeBlockIo(old.blockIO, blockIO) }),
    ...(network !== undefined && { network: mergeNetwork(old.network, network) }),
    ...(hugepageLimits !== undefined && {
      hugepageLimits: upsert(old.hugepageLimits, hugepageLimits, ({ pageSize }) => pageSize),
    }),
    ...(rdma !== undefined && { rdma: { ...old.rdma, ...rdma } }),
    ...(unified !== undefined && { unified: { ...old.unified, ...unified } }),
  };
}

function meantMemory(memory: MemoryResources): MemoryResources {
  const { kernel: _kernel, kernelTCP: _kernelTCP, ...rest } = memory;
  const meant = without(rest, 'limit', 'swap', 'reservation');
  // Memory without a limit is memory and swap without one: both runc and the kernel see it so.
  const isUnlimited = meant.limit !== undefined && BigInt(meant.limit) === -1n;
  return isUnlimited && meant.swap === undefined ? { ...meant, swap: -1 } : meant;
}

function meantCpu(cpu: CpuResources): CpuResources {
  const meant = without(cpu, 'shares', 'quota', 'period', 'realtimeRuntime', 'realtimePeriod');
  const { cpus, mems, ...rest } = meant;
  return { ...rest, ...(isText(cpus) && { cpus }), ...(isText(mems) && { mems }) };
}

/**
 * config.json counts memory and swap together. Where the kernel limits swap apart (cgroup v2), a new limit of memory leaves that of
 * swap alone, and the sum follows.
 */
function mergeMemory(
  old: MemoryResources = {},
  changes: MemoryResources,
  { swapIsApart }: { swapIsApart: boolean },
): MemoryResources {
  const merged = { ...old, ...changes };
  const { limit, swap } = old;
  if (!swapIsApart || changes.swap !== undefined || changes.limit === undefined) return merged;
  if (!isLimited(limit) || !isLimited(swap)) return merged;
  return { ...merged, swap: toInteger(BigInt(swap) - BigInt(limit) + BigInt(changes.limit)) };
}

function mergeBlockIo(old: BlockIo = {}, changes: BlockIo): BlockIo {
  const lists = [
    'weightDevice',
    'throttleReadBpsDevice',
    'throttleWriteBpsDevice',
    'throttleReadIOPSDevice',
    'throttleWriteIOPSDevice',
  ] as const;
  const keyOf = ({ major, minor }: { major: number; minor: number }): string => `${major}:${minor}`;
  const merged = lists
    .filter((name) => changes[name] !== undefined)
    .map((name) => [name, upsert<{ major: number; minor: number }>(old[name], changes[name] ?? [], keyOf)]);
  return { ...old, ...changes, ...(Object.fromEntries(merged) as BlockIo) };
}

function mergeNetwork(old: NetworkResources = {}, changes: NetworkResources): NetworkResources {
  if (changes.priorities === undefined) return { ...old, ...changes };
  return { ...old, ...changes, priorities: upsert(old.priorities, changes.priorities, ({ name }) => name) };
}

/** The old entries without those that a new one replaces, then the new ones. */
function upsert<Entry>(
  old: readonly Entry[] = [],
  entries: readonly Entry[],
  keyOf: (entry: Entry) => string,
): Entry[] {
  const replaced = new Set(entries.map(keyOf));
  return [...old.filter((entry) => !replaced.has(keyOf(entry))), ...entries];
}

/** A copy without the named members that are 0. */
function without<Section extends object>(section: Section, ...names: readonly (keyof Section)[]): Section {
  const copy = { ...section };
  for (const name of names) if (!isSet(copy[name] as number | bigint | undefined)) Reflect.deleteProperty(copy, name);
  return copy;
}

function isText(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}

function isLimited(value: number | bigint | undefined): value is number | bigint {
  return isSet(value) && BigInt(value) !== -1n;
}
