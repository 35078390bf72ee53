import type { Resources } from '../../spec/generated/config.ts';
import type { CgroupLayout } from '../base/cgroup-layout.ts';
import type { Controller } from './controllers/controller.ts';
import { planCpusetInheritanceV1 } from './controllers/cpuset.ts';
import { CONTROLLERS } from './controllers/table.ts';
import { controllerOf, planUnified } from './controllers/unified.ts';
import { ancestorsOf, type CgroupDirectory } from './path.ts';
import type { Problems } from './problems.ts';
import type { CgroupWrite } from './writes.ts';

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
    const { names } = controller;
    const v1 = directories.findIndex(({ kind, controllers }) => kind === 'v1' && controllers.includes(names.v1));
    if (v1 >= 0) {
      (controller.early ? prepare : limits).push(...controller.v1(resources, { directory: v1 }, problems));
    } else if (names.v2 !== undefined && available.includes(names.v2)) {
      const writes = controller.v2?.(resources, { directory: unified }, problems) ?? [];
      for (const { pointer } of writes) required[names.v2] ??= pointer ?? '';
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

function reportMissing({ names, v1, v2 }: Controller, { resources, layout, problems }: ControllersInput): void {
  const onV2 = layout.mode === 'v2' && names.v2 !== undefined;
  const planner = (onV2 ? v2 : undefined) ?? v1;
  const name =
    onV2 || layout.mode !== 'v2'
      ? `cgroup controller ${JSON.stringify(onV2 ? names.v2 : names.v1)}`
      : `cgroup v1 controller ${JSON.stringify(names.v1)}`;
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
