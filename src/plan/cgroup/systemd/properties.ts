import type { Resources } from '../../../spec/generated/config.ts';
import type { Problems } from '../problems.ts';
import { ioWeightFromBlkio, isSet, swapMax, weightFromShares, type Integer } from '../values.ts';
import { parseCpuset } from './cpuset.ts';

/** A property of a unit, as org.freedesktop.systemd1 takes it. Source: man 5 org.freedesktop.systemd1. */
export interface UnitProperty {
  readonly name: string;
  /** D-Bus signature of the value: `t` is a 64-bit number, `ay` bytes, `a(ss)` pairs of strings. */
  readonly signature: string;
  readonly value: UnitValue;
  /** Version of systemd that has it; an older one keeps the value that is written into the cgroup. */
  readonly since?: number;
}

export type UnitValue = string | boolean | number | bigint | readonly UnitValue[];

/** CGROUP_LIMIT_MAX and USEC_INFINITY. */
const INFINITY = 0xffff_ffff_ffff_ffffn;
const DEFAULT_PERIOD_US = 100_000n;
/** systemd takes a quota in steps of 10 ms. */
const QUOTA_STEP_US = 10_000n;
const US_PER_SECOND = 1_000_000n;

const limit = (value: Integer): bigint => (BigInt(value) < 0n ? INFINITY : BigInt(value));
const number = (name: string, value: bigint, since?: number): UnitProperty => {
  return { name, signature: 't', value, ...(since === undefined ? {} : { since }) };
};

/**
 * linux.resources -> properties that make systemd hold the same limits, so that a reload of it does not undo what is written into
 * the cgroup. What systemd has no property for is written into the cgroup alone.
 */
export function planResourceProperties(
  resources: Resources,
  { unified, problems }: { readonly unified: boolean; readonly problems: Problems },
): UnitProperty[] {
  return [
    ...planMemory(resources, unified),
    ...planCpu(resources, unified),
    ...planCpusets(resources, unified, problems),
    ...planPids(resources),
    ...planBlockIo(resources, unified),
    ...(unified ? planUnifiedProperties(resources, problems) : []),
  ];
}

function planMemory({ memory }: Resources, unified: boolean): UnitProperty[] {
  if (memory === undefined) return [];
  const properties: UnitProperty[] = [];
  if (isSet(memory.limit)) properties.push(number(unified ? 'MemoryMax' : 'MemoryLimit', limit(memory.limit)));
  if (!unified) return properties;
  if (isSet(memory.reservation)) properties.push(number('MemoryLow', limit(memory.reservation)));
  const swap = swapMax(memory.limit, memory.swap);
  if (swap !== undefined) properties.push(number('MemorySwapMax', swap === 'max' ? INFINITY : BigInt(swap)));
  return properties;
}

function planCpu({ cpu }: Resources, unified: boolean): UnitProperty[] {
  if (cpu === undefined) return [];
  const properties: UnitProperty[] = [];
  // CPUWeight=idle of version 252 is the weight 0.
  if (unified && cpu.idle === 1) properties.push(number('CPUWeight', 0n, 252));
  else if (isSet(cpu.shares)) {
    const shares = BigInt(cpu.shares);
    properties.push(unified ? number('CPUWeight', BigInt(weightFromShares(shares))) : number('CPUShares', shares));
  }
  if (isSet(cpu.period)) properties.push(number('CPUQuotaPeriodUSec', BigInt(cpu.period), 242));
  if (isSet(cpu.quota) || isSet(cpu.period)) {
    properties.push(number('CPUQuotaPerSecUSec', quotaPerSecond(cpu.quota ?? 0, cpu.period ?? 0)));
  }
  return properties;
}

/** Microseconds of one second of wall clock, rounded up to what systemd takes. */
function quotaPerSecond(quota: Integer, period: Integer): bigint {
  if (BigInt(quota) <= 0n) return INFINITY;
  const perSecond = (BigInt(quota) * US_PER_SECOND) / (isSet(period) ? BigInt(period) : DEFAULT_PERIOD_US);
  return ((perSecond + QUOTA_STEP_US - 1n) / QUOTA_STEP_US) * QUOTA_STEP_US;
}

/** cgroup v1 cpusets are not systemd's. */
function planCpusets({ cpu }: Resources, unified: boolean, problems: Problems): UnitProperty[] {
  if (!unified) return [];
  const set = (name: string, list: string | undefined, pointer: string): UnitProperty[] => {
    const value = list === undefined || list === '' ? undefined : parseCpuset(list, pointer, problems);
    return value === undefined ? [] : [{ name, signature: 'ay', value, since: 244 }];
  };
  return [
    ...set('AllowedCPUs', cpu?.cpus, '/linux/resources/cpu/cpus'),
    ...set('AllowedMemoryNodes', cpu?.mems, '/linux/resources/cpu/mems'),
  ];
}

/** systemd takes 0 for "no limit set"; the cgroup gets 1 for it as well. */
function planPids({ pids }: Resources): UnitProperty[] {
  if (pids?.limit === undefined) return [];
  return [number('TasksMax', BigInt(pids.limit) === 0n ? 1n : limit(pids.limit))];
}

function planBlockIo({ blockIO }: Resources, unified: boolean): UnitProperty[] {
  if (!isSet(blockIO?.weight)) return [];
  const { weight } = blockIO;
  return [unified ? number('IOWeight', BigInt(ioWeightFromBlkio(weight))) : number('BlockIOWeight', BigInt(weight))];
}

/** File of linux.resources.unified -> property of the same meaning. */
const UNIFIED_LIMITS: Readonly<Record<string, string>> = {
  'memory.min': 'MemoryMin',
  'memory.low': 'MemoryLow',
  'memory.high': 'MemoryHigh',
  'memory.max': 'MemoryMax',
  'memory.swap.max': 'MemorySwapMax',
  'memory.zswap.max': 'MemoryZSwapMax',
  'pids.max': 'TasksMax',
  'cpu.weight': 'CPUWeight',
};
const UNIFIED_SINCE: Readonly<Record<string, number>> = { 'memory.zswap.max': 253 };

/** Values that systemd would not take are left to the kernel, which has the last word on what is written. */
function planUnifiedProperties({ unified = {} }: Resources, problems: Problems): UnitProperty[] {
  return Object.entries(unified).flatMap(([file, value]): UnitProperty[] => {
    const text = value.trim();
    const pointer = `/linux/resources/unified/${file}`;
    const name = UNIFIED_LIMITS[file];
    if (name !== undefined) {
      if (text !== 'max' && !/^\d{1,19}$/.test(text)) return [];
      return [number(name, text === 'max' ? INFINITY : BigInt(text), UNIFIED_SINCE[file])];
    }
    switch (file) {
      case 'cpu.idle':
        return text === '1' ? [number('CPUWeight', 0n, 252)] : [];
      case 'cpu.max':
        return planCpuMax(text);
      case 'cpuset.cpus':
      case 'cpuset.mems': {
        const list = parseCpuset(text, pointer, problems);
        const property = file === 'cpuset.cpus' ? 'AllowedCPUs' : 'AllowedMemoryNodes';
        return list === undefined ? [] : [{ name: property, signature: 'ay', value: list, since: 244 }];
      }
      case 'memory.oom.group':
        return [{ name: 'OOMPolicy', signature: 's', value: text === '1' ? 'kill' : 'continue', since: 253 }];
      default:
        return [];
    }
  });
}

function planCpuMax(text: string): UnitProperty[] {
  const match = /^(max|\d+)(?: (\d+))?$/.exec(text);
  if (match === null) return [];
  const period = match[2] ?? '0';
  const quota = match[1] === 'max' ? -1n : BigInt(match[1] ?? 0);
  return [
    ...(isSet(BigInt(period)) ? [number('CPUQuotaPeriodUSec', BigInt(period), 242)] : []),
    number('CPUQuotaPerSecUSec', quotaPerSecond(quota, BigInt(period))),
  ];
}
