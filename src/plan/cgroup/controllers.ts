import type { Resources } from '../../spec/generated/config.ts';
import { planCpuset } from './cpuset.ts';
import type { CgroupLayout } from '../base/cgroup-layout.ts';
import { ancestorsOf, type CgroupDirectory } from './path.ts';
import { planPids } from './pids.ts';
import type { Problems } from './problems.ts';
import { planRdma } from './rdma.ts';
import { planBlkioV1 } from './v1/blkio.ts';
import { planCpuRealtimeV1, planCpuV1 } from './v1/cpu.ts';
import { planCpusetInheritanceV1 } from './v1/cpuset.ts';
import { planHugetlbV1 } from './v1/hugetlb.ts';
import { planMemoryV1 } from './v1/memory.ts';
import { planNetClsV1, planNetPrioV1 } from './v1/network.ts';
import { planCpuV2 } from './v2/cpu.ts';
import { planHugetlbV2 } from './v2/hugetlb.ts';
import { planIoV2 } from './v2/io.ts';
import { planMemoryV2 } from './v2/memory.ts';
import { controllerOf, planUnified } from './v2/unified.ts';
import type { CgroupWrite, ControllerPlace } from './writes.ts';

type ControllerPlanner = (resources: Resources, place: ControllerPlace, problems: Problems) => CgroupWrite[];

/** A controller in both worlds; a missing planner means that this world has no such setting. */
interface Controller {
  readonly v1: string;
  readonly v2?: string;
  readonly planV1: ControllerPlanner;
  readonly planV2?: ControllerPlanner;
  /** On v1 its writes come before anyone joins. */
  readonly early?: true;
}

/** In the order in which the limits are applied. */
const CONTROLLERS: readonly Controller[] = [
  { v1: 'cpuset', v2: 'cpuset', planV1: planCpuset, planV2: planCpuset, early: true },
  { v1: 'cpu', planV1: planCpuRealtimeV1, early: true },
  { v1: 'memory', v2: 'memory', planV1: planMemoryV1, planV2: planMemoryV2 },
  { v1: 'cpu', v2: 'cpu', planV1: planCpuV1, planV2: planCpuV2 },
  { v1: 'pids', v2: 'pids', planV1: planPids, planV2: planPids },
  { v1: 'blkio', v2: 'io', planV1: planBlkioV1, planV2: planIoV2 },
  { v1: 'hugetlb', v2: 'hugetlb', planV1: planHugetlbV1, planV2: planHugetlbV2 },
  { v1: 'rdma', v2: 'rdma', planV1: planRdma, planV2: planRdma },
  { v1: 'net_cls', planV1: planNetClsV1 },
  { v1: 'net_prio', planV1: planNetPrioV1 },
];

interface ControllersInput {
  readonly resources: Resources;
  readonly layout: CgroupLayout;
  readonly directories: readonly CgroupDirectory[];
  readonly problems: Problems;
}

/**
 * linux.resources -> writes, each controller in the hierarchy that has it: a v1 one first, else cgroup2.
 *
 * A limit whose controller no hierarchy has is reported as unsupported; "unlimited" is true without a controller.
 */
export function planControllers(input: ControllersInput): { prepare: CgroupWrite[]; limits: CgroupWrite[] } {
  const { resources, directories, problems } = input;
  const unified = directories.findIndex(({ kind }) => kind === 'v2');
  const available = directories[unified]?.controllers ?? [];
  const prepare: CgroupWrite[] = planInheritance(directories);
  const limits: CgroupWrite[] = [];
  const required: Record<string, string> = {};
  for (const controller of CONTROLLERS) {
    const v1 = directories.findIndex(({ kind, controllers }) => kind === 'v1' && controllers.includes(controller.v1));
    if (v1 >= 0) {
      (controller.early ? prepare : limits).push(...controller.planV1(resources, { directory: v1 }, problems));
    } else if (controller.v2 !== undefined && available.includes(controller.v2)) {
      const writes = controller.planV2?.(resources, { directory: unified }, problems) ?? [];
      for (const { pointer } of writes) required[controller.v2] ??= pointer ?? '';
      limits.push(...writes);
    } else reportMissing(controller, input);
  }
  const extra = planUnifiedOf(input, unified, available);
  for (const write of extra) {
    const controller = write.kind === 'value' ? controllerOf(write.file) : 'cgroup';
    if (controller !== 'cgroup') required[controller] ??= write.pointer ?? '';
  }
  return { prepare: [...planEnabling(input, unified, required), ...prepare], limits: [...limits, ...extra] };
}

function planInheritance(directories: readonly CgroupDirectory[]): CgroupWrite[] {
  const index = directories.findIndex(({ kind, controllers }) => kind === 'v1' && controllers.includes('cpuset'));
  const cpuset = directories[index];
  return cpuset === undefined ? [] : planCpusetInheritanceV1({ directory: index }, ancestorsOf(cpuset.path));
}

function reportMissing(controller: Controller, { resources, layout, problems }: ControllersInput): void {
  const onV2 = layout.mode === 'v2' && controller.v2 !== undefined;
  const planner = (onV2 ? controller.planV2 : undefined) ?? controller.planV1;
  const name =
    onV2 || layout.mode !== 'v2'
      ? `cgroup controller ${JSON.stringify(onV2 ? controller.v2 : controller.v1)}`
      : `cgroup v1 controller ${JSON.stringify(controller.v1)}`;
  const writes = planner(resources, { directory: -1 }, problems).filter((write) => !isUnlimited(write));
  for (const pointer of new Set(writes.map((write) => write.pointer ?? ''))) {
    problems.unsupported(pointer, `needs the ${name}, which this machine does not have`);
  }
}

function isUnlimited(write: CgroupWrite): boolean {
  return write.kind === 'value' && /^(max|-1)( |$)/.test(write.value);
}

/** `unified` speaks of cgroup v2 files; beside v1 hierarchies they would not do what the config means. */
function planUnifiedOf(input: ControllersInput, directory: number, available: readonly string[]): CgroupWrite[] {
  const { resources, layout, problems } = input;
  if (layout.mode === 'v2') return planUnified(resources, { directory }, { available, problems });
  if (Object.keys(resources.unified ?? {}).length > 0) {
    problems.unsupported('/linux/resources/unified', `needs cgroup v2 alone, found ${layout.mode}`);
  }
  return [];
}

/**
 * Controllers reach a cgroup2 directory only when every cgroup above passes them on. On a machine with cgroup v2 alone the container
 * gets all there are, for limits that come later and for cgroups of its own; on a hybrid one only what is needed.
 */
function planEnabling(
  input: ControllersInput,
  directory: number,
  required: Readonly<Record<string, string>>,
): CgroupWrite[] {
  const unified = input.directories[directory];
  if (unified === undefined) return [];
  const controllers = input.layout.mode === 'v2' ? unified.controllers : Object.keys(required);
  if (controllers.length === 0) return [];
  return ancestorsOf(unified.path).map((ancestor): CgroupWrite => {
    return {
      kind: 'enable',
      directory,
      ancestor,
      controllers,
      required,
      label: `pass controllers on in ${JSON.stringify(ancestor)}`,
    };
  });
}
