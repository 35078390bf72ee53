import type { Resources } from '../../../spec/generated/config.ts';
import type { CpusetStats } from '../stats.ts';
import { parseCpuset } from '../cpuset-mask.ts';
import type { UnitProperty } from '../unit-property.ts';
import type { CgroupWrite, ControllerPlace } from '../writes.ts';
import type { Controller, SystemdOptions } from './controller.ts';
import { readInteger, type CounterReader } from './counters.ts';

/** config-linux.md, "CPU", cpus and mems: the same files and syntax on cgroup v1 and v2. Updates of the section are in cpu.ts. */
export const cpuset: Controller = {
  names: { v1: 'cpuset', v2: 'cpuset' },
  v1: plan,
  v2: plan,
  early: true,
  systemd: planProperties,
};

function plan(resources: Resources, place: ControllerPlace): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  for (const property of ['cpus', 'mems'] as const) {
    const value = resources.cpu?.[property];
    if (value === undefined || value === '') continue;
    const pointer = `/linux/resources/cpu/${property}`;
    writes.push({ kind: 'value', ...place, file: `cpuset.${property}`, value, label: `set cpu.${property}`, pointer });
  }
  return writes;
}

const FILES = ['cpuset.cpus', 'cpuset.mems'] as const;

/**
 * A new v1 cpuset is empty, and nobody can join it (ENOSPC): every group down to the container's takes over what its parent has.
 *
 * `ancestors` are the groups above the container's, outermost first, relative to the mount point.
 */
export function planCpusetInheritanceV1(place: ControllerPlace, ancestors: readonly string[]): CgroupWrite[] {
  const above = ancestors.filter((path) => path !== '/');
  const writes = above.flatMap((ancestor) =>
    FILES.map((file): CgroupWrite => {
      return { kind: 'inherit', ...place, ancestor, file, label: `hand ${file} down to ${JSON.stringify(ancestor)}` };
    }),
  );
  const own = FILES.map((file): CgroupWrite => {
    return { kind: 'inherit', ...place, file, label: `hand ${file} down to the container` };
  });
  return [...writes, ...own];
}

/** cgroup v1 cpusets are not systemd's. */
function planProperties({ cpu }: Resources, { unified, problems }: SystemdOptions): UnitProperty[] {
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

const FLAGS = [
  'cpu_exclusive',
  'mem_hardwall',
  'mem_exclusive',
  'memory_migrate',
  'memory_spread_page',
  'memory_spread_slab',
  'memory_pressure',
  'sched_load_balance',
  'sched_relax_domain_level',
] as const;

/** What of a cpuset is not there: cgroup v2 has none of these files. */
const NO_CPUSET: CpusetStats = { cpus: [], mems: [], flags: Object.fromEntries(FLAGS.map((name) => [name, 0])) };

/** The CPUs and memory nodes of the container, and the settings of its cpuset. */
export function readCpusetV1(files: CounterReader | undefined): CpusetStats {
  if (files === undefined) return NO_CPUSET;
  return {
    cpus: parseNumberList(files.lines('cpuset.cpus')[0] ?? ''),
    mems: parseNumberList(files.lines('cpuset.mems')[0] ?? ''),
    flags: Object.fromEntries(FLAGS.map((name) => [name, readInteger(files, `cpuset.${name}`)])),
  };
}

/** No machine has more CPUs or memory nodes. */
const LARGEST = 65_535;

/** The numbers of a list such as `0-2,7`, as the kernel writes it. */
export function parseNumberList(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()) ?? [];
    if (first === undefined || Number(last) > LARGEST) return [];
    const length = Math.max(0, Number(last) - Number(first) + 1);
    return Array.from({ length }, (_, index) => Number(first) + index);
  });
}
