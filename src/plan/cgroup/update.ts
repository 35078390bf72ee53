import { TsrunError } from '../../errors.ts';
import type { Config, MemoryResources, Resources } from '../../spec/generated/config.ts';
import { planControllers } from './apply-controllers.ts';
import { resolvePidsLimit } from './controllers/pids.ts';
import { meantChanges, mergeResources, writtenResources } from './merge.ts';
import type { CgroupDirectory } from './path.ts';
import type { CgroupManagerName, CgroupPlan } from './plan.ts';
import { Problems } from './problems.ts';
import { planResourceProperties } from './systemd/resource-properties.ts';
import type { UnitProperty } from './unit-property.ts';
import { isSet } from './values.ts';

/** What a change of limits is planned from. */
export interface UpdateInput {
  /** Of the container's config: it decides what a pids limit of 0 means. */
  readonly ociVersion?: string;
  /** The container's resources so far. */
  readonly old: Resources;
  /** A document of `update`: absent, 0 and empty text leave what is. */
  readonly changes: Resources;
  readonly manager: CgroupManagerName;
  readonly version: CgroupPlan['version'];
  readonly directories: readonly CgroupDirectory[];
}

/** A change of limits, decided. */
export interface LimitUpdate {
  /** What the container's config has from now on. */
  readonly resources: Resources;
  /** Only `limits` are to be applied: the cgroups are there, and device rules stay as they are. */
  readonly plan: CgroupPlan;
  /** For systemd, where it makes the cgroups: what it is told, and what undoes that. */
  readonly properties: { readonly changed: readonly UnitProperty[]; readonly old: readonly UnitProperty[] };
  readonly warnings: readonly string[];
}

/** What is remembered of a container whose limits are to change. */
export interface LimitedContainer {
  readonly id: string;
  readonly cgroup: Pick<UpdateInput, 'manager' | 'version'> & {
    readonly directories: readonly (Omit<CgroupDirectory, 'path'> & { readonly hostPath: string })[];
  };
}

/** Plans a change of a container's limits. Errors: `unsupported` without a cgroup, and those of `planUpdate`. */
export function planContainerUpdate(
  { id, cgroup }: LimitedContainer,
  { ociVersion, linux }: Config,
  changes: Resources,
): LimitUpdate {
  const { manager, version } = cgroup;
  if (cgroup.directories.length === 0)
    throw new TsrunError('unsupported', `update container ${JSON.stringify(id)}: it has no cgroup`);
  const directories = cgroup.directories.map(({ kind, controllers, mountPoint, hostPath }) => {
    return { kind, controllers, mountPoint, path: hostPath.slice(mountPoint.length) };
  });
  return planUpdate({ ociVersion, old: linux?.resources ?? {}, changes, manager, version, directories });
}

/**
 * Plans a change of a running container's limits: writes for what changes, and for what the kernel keeps in one value with it.
 *
 * Errors: `config` and `unsupported` as `planCgroup`.
 */
export function planUpdate({ ociVersion, manager, version, directories, ...input }: UpdateInput): LimitUpdate {
  const old = resolvePidsLimit(input.old, ociVersion);
  const changes = resolvePidsLimit(input.changes, ociVersion);
  const meant = meantChanges(changes);
  const resources = mergeResources(old, meant, { swapIsApart: hasUnifiedMemory(directories) });
  const problems = new Problems();
  const written = writtenResources(meant, resources);
  const { prepare, limits } = planControllers({
    resources: written,
    layout: { mode: version, hierarchies: [] },
    directories,
    problems,
  });
  const unified = version === 'v2';
  const propertiesOf = (from: Resources): UnitProperty[] =>
    manager === 'systemd' ? planResourceProperties(from, { unified, problems }) : [];
  const properties = { changed: propertiesOf(written), old: propertiesOf(old) };
  problems.throwIfAny();
  // A cpuset that has processes is not empty: there is nothing to hand down.
  // systemd passes controllers on by itself.
  const left = manager === 'systemd' ? ['inherit', 'enable'] : ['inherit'];
  const writes = [...prepare.filter(({ kind }) => !left.includes(kind)), ...limits];
  return {
    resources,
    plan: { manager, version, directories, prepare: [], limits: writes },
    properties,
    warnings: warningsOf(changes.memory),
  };
}

function hasUnifiedMemory(directories: readonly CgroupDirectory[]): boolean {
  return !directories.some(({ kind, controllers }) => kind === 'v1' && controllers.includes('memory'));
}

function warningsOf(memory: MemoryResources = {}): string[] {
  const names = (['kernel', 'kernelTCP'] as const).filter((name) => isSet(memory[name]));
  return names.map((name) => `update: memory.${name} is obsolete and ignored`);
}
