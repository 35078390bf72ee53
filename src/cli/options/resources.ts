import type { UpdateOptions } from '../../container/store/options.ts';
import { TsrunError } from '../../errors.ts';
import type { Resources } from '../../spec/generated/config.ts';
import type { OptionTable, OptionValues } from './table.ts';
import { absolutePath, type Surroundings } from '../surroundings.ts';
import { readInteger, readSize } from './values.ts';

const NUMBER = { type: 'string', placeholder: 'N' } as const;
const SCHEMA = { type: 'string', placeholder: 'SCHEMA' } as const;
const SIZE = { type: 'string', placeholder: 'SIZE' } as const;

/** The options of `update`. */
export const resourceOptions = {
  resources: {
    type: 'string',
    short: 'r',
    placeholder: 'FILE',
    description:
      'JSON file with the new limits, or - for standard input; the options for limits then count for nothing',
  },
  'blkio-weight': { ...NUMBER, description: 'weight of block I/O, 10 to 1000' },
  'cpu-period': { ...NUMBER, description: 'period of the CPU quota in microseconds' },
  'cpu-quota': { ...NUMBER, description: 'CPU time in a period in microseconds, -1 for no limit' },
  'cpu-burst': { ...NUMBER, description: 'CPU time beyond the quota that can be saved up, in microseconds' },
  'cpu-share': { ...NUMBER, description: 'weight among those who want the CPU' },
  'cpu-rt-period': { ...NUMBER, description: 'period of real-time tasks in microseconds' },
  'cpu-rt-runtime': { ...NUMBER, description: 'CPU time of real-time tasks in a period in microseconds' },
  'cpu-idle': { ...NUMBER, description: '1 to run only when nobody else does, 0 as usual' },
  'cpuset-cpus': { type: 'string', placeholder: 'LIST', description: 'CPUs to use, such as 0-3,7' },
  'cpuset-mems': { type: 'string', placeholder: 'LIST', description: 'memory nodes to use' },
  'kernel-memory': { ...SIZE, description: 'obsolete: it has no effect' },
  'kernel-memory-tcp': { ...SIZE, description: 'obsolete: it has no effect' },
  memory: { ...SIZE, description: 'limit of memory in bytes or as 512M, -1 for none' },
  'memory-reservation': { ...SIZE, description: 'memory that is left to the container when others need some' },
  'memory-swap': { ...SIZE, description: 'limit of memory and swap together, -1 for none' },
  'pids-limit': { ...NUMBER, description: 'number of processes and threads, -1 for no limit' },
  'l3-cache-schema': { ...SCHEMA, description: 'not supported: share of the L3 cache (Intel RDT)' },
  'mem-bw-schema': { ...SCHEMA, description: 'not supported: share of memory bandwidth (Intel RDT)' },
} as const satisfies OptionTable;

type Values = OptionValues<typeof resourceOptions>;

/** The options of updateContainer(). As with runc an empty value is none. Errors: `usage`; `config` when FILE cannot be read. */
export function readUpdateOptions(
  values: Values,
  { id, surroundings }: { id: string; surroundings: Surroundings },
): UpdateOptions {
  const { 'l3-cache-schema': l3CacheSchema = '', 'mem-bw-schema': memBwSchema = '' } = values;
  return {
    id,
    changes: readChanges(values, surroundings),
    ...(l3CacheSchema !== '' && { l3CacheSchema }),
    ...(memBwSchema !== '' && { memBwSchema }),
  };
}

function readChanges(values: Values, surroundings: Surroundings): UpdateOptions['changes'] {
  if (values.resources === '-') return { kind: 'document', name: 'standard input', text: surroundings.readStdin() };
  const path = absolutePath(values.resources, surroundings);
  if (path === undefined) return { kind: 'resources', resources: readResources(values) };
  try {
    return { kind: 'document', name: path, text: surroundings.readFile(path) };
  } catch (error) {
    throw TsrunError.of('config', `read resources document ${JSON.stringify(path)}`, error);
  }
}

function readResources(values: Values): Resources {
  const members = (
    read: (text: string, option: string) => number | bigint,
    options: Readonly<Record<string, keyof Values>>,
  ): Record<string, number | bigint> => {
    const given = Object.entries(options).filter(([, option]) => (values[option] ?? '') !== '');
    return Object.fromEntries(given.map(([name, option]) => [name, read(values[option] ?? '', option)]));
  };
  const { 'cpuset-cpus': cpus = '', 'cpuset-mems': mems = '' } = values;
  const memory = members(readSize, {
    limit: 'memory',
    reservation: 'memory-reservation',
    swap: 'memory-swap',
    kernel: 'kernel-memory',
    kernelTCP: 'kernel-memory-tcp',
  });
  const cpu = members(readInteger, {
    shares: 'cpu-share',
    quota: 'cpu-quota',
    period: 'cpu-period',
    burst: 'cpu-burst',
    realtimePeriod: 'cpu-rt-period',
    realtimeRuntime: 'cpu-rt-runtime',
    idle: 'cpu-idle',
  });
  const sections = {
    memory,
    cpu: { ...cpu, ...(cpus !== '' && { cpus }), ...(mems !== '' && { mems }) },
    pids: members(readInteger, { limit: 'pids-limit' }),
    blockIO: members(readInteger, { weight: 'blkio-weight' }),
  };
  const given = Object.entries(sections).filter(([, section]) => Object.keys(section).length > 0);
  // The operation checks the ranges, as it does for a document.
  return Object.fromEntries(given);
}
