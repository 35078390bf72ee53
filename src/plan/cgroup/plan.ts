import { TsrunError } from '../../errors.ts';
import type { Resources } from '../../spec/generated/config.ts';
import type { CgroupManagerName } from '../../spec/generated/record.ts';
import { planControllers } from './apply-controllers.ts';
import { planDevicesV1 } from './controllers/devices.ts';
import { resolvePidsLimit } from './controllers/pids.ts';
import { planDeviceFilter, type DeviceFilter } from './device-filter.ts';
import { collectDeviceRules } from './device-rules.ts';
import type { CgroupLayout } from '../base/cgroup-layout.ts';
import { planCgroupOwner, type CgroupOwner, type OwnerConfig } from './owner.ts';
import { planCgroupDirectories, type CgroupDirectory } from './path.ts';
import { Problems } from './problems.ts';
import { planScope, scopeDirectories, type ScopePlan } from './systemd/scope.ts';
import { planUnit, type BusName } from './systemd/unit.ts';
import type { CgroupWrite } from './writes.ts';

export type { CgroupManagerName } from '../../spec/generated/record.ts';
export type { CgroupOwner } from './owner.ts';
export type { CgroupDirectory } from './path.ts';
export type { ScopePlan } from './systemd/scope.ts';
export type { UnitProperty, UnitValue } from './unit-property.ts';
export type { BusName } from './systemd/unit.ts';
export type { CgroupWrite, ControllerEnable, InheritWrite, UsageCheck, ValueWrite } from './writes.ts';

/** Device rules as v1 writes, or as an eBPF program for a v2 directory. */
export type DevicePlan =
  | { readonly kind: 'v1'; readonly writes: readonly CgroupWrite[]; readonly optional: boolean }
  | ({ readonly kind: 'v2'; readonly directory: number; readonly optional: boolean } & DeviceFilter);

/**
 * Everything that is done to cgroups for a container, in the order of its fields:
 *
 *     scope         with the systemd manager, the unit whose cgroups the directories are
 *     directories   made or found, checked to be empty and not frozen
 *     prepare       before anyone joins: what joining needs, and what must be there before the first process
 *     owner         who is given the cgroup2 directory
 *     (join)
 *     limits        in this order
 *     devices       last, once set-up needs no device any more
 */
export interface CgroupPlan {
  readonly manager: CgroupManagerName;
  /** `none`: no cgroup is touched. */
  readonly version: CgroupLayout['mode'];
  readonly scope?: ScopePlan;
  readonly directories: readonly CgroupDirectory[];
  readonly prepare: readonly CgroupWrite[];
  readonly owner?: CgroupOwner;
  readonly limits: readonly CgroupWrite[];
  readonly devices?: DevicePlan;
}

/** What a plan of cgroups is made from. */
export interface CgroupPlanInput {
  readonly config: OwnerConfig & {
    readonly ociVersion?: string;
    readonly linux?: { readonly cgroupsPath?: string; readonly resources?: Resources };
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly layout: CgroupLayout;
  readonly id: string;
  readonly manager: CgroupManagerName;
  /** Device rules that the kernel forbids to set are then passed over: a user namespace cannot make devices anyway. Default: false. */
  readonly rootless?: boolean;
  /** Whose systemd makes the cgroups, and the user id by which it knows its own. Default: the machine's, root. */
  readonly systemd?: { readonly bus: BusName; readonly uid: number };
}

/**
 * Plans the container's cgroups (config-linux.md, "Control groups").
 *
 * Errors: `config` for values that contradict themselves or the specification, `unsupported` for limits that this machine's
 * hierarchies cannot apply; `issues` holds all of them.
 */
export function planCgroup(input: CgroupPlanInput): CgroupPlan {
  const { layout, manager } = input;
  if (manager === 'disabled') return { manager, version: 'none', directories: [], prepare: [], limits: [] };
  const { ociVersion, linux } = input.config;
  const resources = resolvePidsLimit(linux?.resources ?? {}, ociVersion);
  const problems = new Problems();
  const { directories, scope } = planPlaces(input, resources, problems);
  if (directories.length === 0) {
    throw new TsrunError(
      'unsupported',
      'plan the cgroup: no cgroup hierarchy is mounted, wanted one below "/sys/fs/cgroup"',
    );
  }
  const { prepare: allPrepare, limits } = planControllers({ resources, layout, directories, problems });
  // A user's systemd passes on what it was given itself; the cgroups above its own are not this user's.
  const prepare = scope?.bus === 'user' ? allPrepare.filter(({ kind }) => kind !== 'enable') : allPrepare;
  const devices = planDevices({ resources, directories, problems, rootless: input.rootless ?? false });
  problems.throwIfAny();
  const owner = planCgroupOwner(input.config, { layout, directories, optional: input.rootless ?? false });
  const given = owner === undefined ? {} : { owner };
  const common = { manager, version: layout.mode, directories, prepare, ...given, limits, devices };
  return scope === undefined ? common : { ...common, scope };
}

/** With systemd the unit decides where the cgroups are; cgroupsPath then names the unit. */
function planPlaces(
  { config, layout, id, manager, systemd = { bus: 'system', uid: 0 } }: CgroupPlanInput,
  resources: Resources,
  problems: Problems,
): { directories: CgroupDirectory[]; scope?: ScopePlan } {
  const cgroupsPath = config.linux?.cgroupsPath;
  if (manager !== 'systemd') return { directories: planCgroupDirectories({ layout, cgroupsPath, id }) };
  const place = planUnit({ cgroupsPath, id, layout, ...systemd });
  const { bus } = systemd;
  const annotations = config.annotations ?? {};
  const scope = planScope({ place, bus, id, layout, resources, annotations, problems });
  return { directories: scopeDirectories(layout, place), scope };
}

/** A v1 devices hierarchy wins, also on a hybrid machine; everywhere else the cgroup2 directory takes the eBPF program. */
function planDevices(input: {
  resources: Resources;
  directories: readonly CgroupDirectory[];
  problems: Problems;
  rootless: boolean;
}): DevicePlan {
  const { directories, problems, rootless: optional } = input;
  const rules = collectDeviceRules(input.resources.devices ?? []);
  const v1 = directories.findIndex(({ kind, controllers }) => kind === 'v1' && controllers.includes('devices'));
  if (v1 >= 0) return { kind: 'v1', writes: planDevicesV1(rules, { directory: v1 }, problems), optional };
  const v2 = directories.findIndex(({ kind }) => kind === 'v2');
  if (v2 < 0 && !optional) {
    problems.unsupported(
      '/linux/resources/devices',
      'needs the cgroup controller "devices", which this machine does not have',
    );
  }
  if (v2 < 0) return { kind: 'v1', writes: [], optional };
  return { kind: 'v2', directory: v2, optional, ...planDeviceFilter(rules) };
}
