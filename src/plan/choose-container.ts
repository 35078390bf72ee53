import type { Config } from '../spec/generated/config.ts';
import { findNamespace, hasNewNamespace } from './base/context.ts';
import type { HostFacts } from './base/facts.ts';
import { chooseCgroupManager } from './cgroup/choose-manager.ts';
import { ownCgroupsAreWritable, withoutForeignTracking } from './base/cgroup-layout.ts';
import { planIntelRdt } from './cgroup/intel-rdt.ts';
import { planCgroup, type BusName, type CgroupManagerName, type CgroupPlan } from './cgroup/plan.ts';
import { planCreate, type CreateInput, type CreatePlan } from './create.ts';

/** What `planCreate` needs, and what decides about the manager of the cgroups. */
export interface ContainerInput extends CreateInput {
  /** What was asked for. */
  readonly cgroupManager: CgroupManagerName;
  readonly rootless: boolean;
  /** Those of `cgroupPlaces` in which directories may be made; without `rootless` nobody asks. */
  readonly writableCgroups: readonly string[];
}

/**
 * Decides everything about a container, the manager of its cgroups included.
 *
 * Errors: `bundle`, `config`, `unsupported`, `cgroup`.
 */
export function planContainer(input: ContainerInput): CreatePlan {
  const { cgroupManager: _asked, rootless, writableCgroups: _writable, ...known } = input;
  const cgroup = chooseCgroup(input);
  const plan = planCreate(known, cgroup);
  const isUntracked = rootless && cgroup.manager === 'disabled' && !hasOwnPids(input.config);
  return isUntracked ? { ...plan, warnings: [...plan.warnings, UNTRACKED] } : plan;
}

/** What of a plan, beside its programs, has the id of the container in it. Errors: `config`, `unsupported`, `cgroup`. */
export function planNamed(input: ContainerInput): Pick<CreatePlan, 'cgroup' | 'intelRdt'> {
  return { cgroup: chooseCgroup(input), intelRdt: planIntelRdt(input.config, input.id) };
}

function chooseCgroup({
  cgroupManager: asked,
  rootless,
  writableCgroups,
  id,
  config,
  host,
}: ContainerInput): CgroupPlan {
  const layout = rootless ? withoutForeignTracking(host.cgroup, writableCgroups) : host.cgroup;
  const isWritable = !rootless || ownCgroupsAreWritable(layout, writableCgroups);
  const manager = chooseCgroupManager(config, { asked, rootless, isWritable });
  return planCgroup({ config, layout, id, manager, rootless: !isRoot(host), systemd: ownSystemd(host) });
}

const UNTRACKED =
  'the container has neither a cgroup nor a pid namespace of its own: those of its processes that outlive its init cannot be found, not even by "delete --force"';

/** Whether a container does without the cgroups that may not be made: as was asked for, and otherwise unless the caller is root. */
export function isRootless(asked: boolean | undefined, host: HostFacts): boolean {
  return asked ?? !isRoot(host);
}

/** Rootless podman calls its runtime as root of a user namespace, who may do no more to cgroups than the user behind it. */
function isRoot({ identity }: HostFacts): boolean {
  return identity.euid === 0 && !identity.inUserNamespace;
}

/** Whether the death of init ends all processes of the container. */
export function hasOwnPids(config: Config): boolean {
  return findNamespace(config, 'pid') !== undefined && hasNewNamespace(config, 'pid');
}

/** root of the machine asks its systemd; everyone else the one of the own session, which knows the user by the id outside. */
function ownSystemd(host: HostFacts): { readonly bus: BusName; readonly uid: number } {
  return { bus: isRoot(host) ? 'system' : 'user', uid: host.identity.euid };
}
