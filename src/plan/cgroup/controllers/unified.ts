import type { Resources } from '../../../spec/generated/config.ts';
import { pointerTo } from '../../../spec/pointer.ts';
import type { Problems } from '../problems.ts';
import { parseCpuset } from '../cpuset-mask.ts';
import { INFINITY, numberProperty, type UnitProperty } from '../unit-property.ts';
import { isSet } from '../values.ts';
import type { CgroupWrite, ControllerPlace } from '../writes.ts';
import type { SystemdOptions } from './controller.ts';
import { quotaPerSecond } from './cpu.ts';
import { resourceSection } from './section.ts';

/** config-linux.md, "Unified": no controller of its own, but the files of all, so that the last word is its. */

/** How an update changes it: file by file. */
export const unifiedSection = resourceSection('unified', {});

/** File name -> value, written after everything else, files that tsrun does not know included. */
export function planUnified(
  resources: Resources,
  place: ControllerPlace,
  options: { available: readonly string[]; problems: Problems },
): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  for (const [file, value] of Object.entries(resources.unified ?? {})) {
    const pointer = pointerTo('/linux/resources/unified', file);
    const controller = controllerOf(file);
    if (controller === 'cgroup' || options.available.includes(controller)) {
      writes.push({ kind: 'value', ...place, file, value, label: `set unified ${JSON.stringify(file)}`, pointer });
    } else {
      const found = JSON.stringify(controller);
      options.problems.unsupported(pointer, `the cgroup controller ${found} is not available on this machine`);
    }
  }
  return writes;
}

/** `memory` of `memory.high`. */
export function controllerOf(file: string): string {
  return file.slice(0, file.indexOf('.'));
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

/**
 * The files that systemd has a property for. Values that systemd would not take are left to the kernel, which has the last word on what is
 * written.
 */
export function planUnifiedProperties({ unified = {} }: Resources, { problems }: SystemdOptions): UnitProperty[] {
  return Object.entries(unified).flatMap(([file, value]): UnitProperty[] => {
    const text = value.trim();
    const pointer = `/linux/resources/unified/${file}`;
    const name = UNIFIED_LIMITS[file];
    if (name !== undefined) {
      if (text !== 'max' && !/^\d{1,19}$/.test(text)) return [];
      return [numberProperty(name, text === 'max' ? INFINITY : BigInt(text), UNIFIED_SINCE[file])];
    }
    switch (file) {
      case 'cpu.idle':
        return text === '1' ? [numberProperty('CPUWeight', 0n, 252)] : [];
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
    ...(isSet(BigInt(period)) ? [numberProperty('CPUQuotaPeriodUSec', BigInt(period), 242)] : []),
    numberProperty('CPUQuotaPerSecUSec', quotaPerSecond(quota, BigInt(period))),
  ];
}
