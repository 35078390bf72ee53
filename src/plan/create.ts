import { call } from '../program/build.ts';
import { Memory, type Program, type Region, type Step } from '../program/step.ts';
import type { Process } from '../spec/generated/config.ts';
import { MOUNT_ATTR_RDONLY } from '../util/constants.ts';
import { planResetAffinity } from './process/affinity.ts';
import { planHostTrees } from './rootfs/bind-source.ts';
import { planShedForCreate } from './process/capabilities.ts';
import type { JoinPlace } from './cgroup/path.ts';
import { joinPlaces } from './namespaces/join-cgroups.ts';
import type { CgroupPlan } from './cgroup/plan.ts';
import { planClone } from './namespaces/clone.ts';
import type { OverlayLayers } from './base/layers.ts';
import { createContainerSetting, type HookSetting } from './container-hook.ts';
import {
  allocateSharedSlots,
  descriptorNumbers,
  findNamespace,
  hasNewNamespace,
  type PlanContext,
} from './base/context.ts';
import { planMakeCwd } from './process/cwd.ts';
import { makesDevices, planDevices } from './rootfs/devices.ts';
import { allocateFound, candidates, planFindExecutable } from './process/executable.ts';
import { planFinishProcess } from './process/finish-process.ts';
import { handOutNumbers, handsOut, planHandOut } from './namespaces/hand-out.ts';
import { refuseOnThisHost } from './host-rules.ts';
import { planIdMaps, type IdMapPlan } from './namespaces/id-maps.ts';
import { planIdmapNamespaces, type IdmapNamespace } from './rootfs/idmapped-mounts.ts';
import { planIntelRdt, type IntelRdtPlan } from './cgroup/intel-rdt.ts';
import { planIoPriority } from './process/io-priority.ts';
import { hasKeyLabel, labelKeys, planNewKeyring } from './process/keyring.ts';
import { planLandlock } from './process/landlock.ts';
import { planLoopback } from './namespaces/loopback.ts';
import { planApparmor, planSelinux } from './process/lsm.ts';
import { planMaskedPaths, planReadonlyPaths } from './rootfs/masked-paths.ts';
import { planMemoryPolicy } from './process/memory-policy.ts';
import { changeAttributes } from './rootfs/mount-attributes.ts';
import { planMounts, type MountsPlan } from './rootfs/mounts.ts';
import {
  planCgroupNamespace,
  planJoinNamespaces,
  planNewUserNamespace,
  planTimeNamespace,
  planUserNamespaceRoot,
} from './namespaces/namespaces.ts';
import { planNoNewPrivileges, planUmask } from './process/credentials.ts';
import { planNetDevices, planNetlinkSocket, type NetDeviceMove } from './namespaces/net-devices.ts';
import { planOomScore } from './process/oom-score.ts';
import { planPasswd } from './process/passwd.ts';
import { planPersonality } from './process/personality.ts';
import { PhaseList, type Phase } from './base/phases.ts';
import { needsProcHandle, planProcHandle } from './base/proc-handle.ts';
import { reply } from './base/reply.ts';
import { reserveScratch } from './base/scratch.ts';
import { planRlimits, type RlimitSetting } from './process/rlimits.ts';
import {
  addEnterRoot,
  needsRootfsCover,
  planFinalPropagation,
  planOutsideRoot,
  planRootMount,
} from './rootfs/rootfs.ts';
import { planPark, type ParkTokens } from './run-program.ts';
import { planScheduler } from './process/scheduler.ts';
import { lastCreateDescriptor, planStartInit } from './namespaces/start-init.ts';
import { addEarlyFilter } from './seccomp/early.ts';
import type { CompiledSeccomp } from './seccomp/load.ts';
import { planNullStdio } from './process/stdio.ts';
import { planSysctl } from './namespaces/sysctl.ts';
import { planTerminal } from './process/terminal.ts';
import { addUnit } from './namespaces/join-unit.ts';
import { planUts } from './namespaces/uts.ts';

/** Everything that is going to happen to create a container, decided before the first of it happens. */
export interface CreatePlan {
  readonly cgroup: CgroupPlan;
  readonly intelRdt: IntelRdtPlan | undefined;
  readonly idmapNamespaces: readonly IdmapNamespace[];
  readonly idMaps: IdMapPlan | undefined;
  /** Moved by the parent at the exchange `network`, where it also connects the container. */
  readonly netDevices: readonly NetDeviceMove[];
  /** The parent connects the container at the exchange `network`. */
  readonly isConnected: boolean;
  /** The parent mounts the rootfs over itself before init starts. */
  readonly coversRootfs: boolean;
  /** The parent makes the directories before init starts. */
  readonly overlay: OverlayLayers | undefined;
  readonly phases: readonly Phase[];
  /** Set by the parent with prlimit(2) as soon as the process exists. */
  readonly rlimits: readonly RlimitSetting[];
  /** Where the program was looked for; the `ready` reply tells which of them it is. Empty without a process. */
  readonly candidates: readonly string[];
  /** How createContainer hooks are run while init waits at the exchange `rootfs`. */
  readonly hooks: HookSetting;
  /** The last program: init waits for start, by one who has the token where `needsToken`. */
  readonly park: (tokens: ParkTokens) => Program;
  readonly needsToken: boolean;
  /** Meanwhile it hands its namespaces to whoever has the token for it. */
  readonly handsOut: boolean;
  readonly warnings: readonly string[];
}

/** What is known before planning begins; the rest of the context, `planCreate` makes itself. */
export interface CreateInput extends Omit<PlanContext, 'memory' | 'slots' | 'descriptors' | 'warnings'> {
  /** The filter of the process, compiled. */
  readonly seccomp?: CompiledSeccomp;
}

/**
 * Plans the creation of a container.
 *
 * Read from top to bottom it is what happens, in the order that runc's init established and that callers rely on.
 * Errors: `bundle` with everything that does not fit this host, `unsupported` for what it cannot do.
 */
export function planCreate(input: CreateInput, cgroup: CgroupPlan): CreatePlan {
  const memory = new Memory();
  const context: PlanContext = {
    ...input,
    memory,
    slots: allocateSharedSlots(memory),
    descriptors: descriptorNumbers(input.options.preserveFds),
    warnings: [],
  };
  refuseOnThisHost(context);
  const process = context.config.process;
  const phases = new PhaseList();
  const trees = planHostTrees(context);
  const idmapNamespaces = planIdmapNamespaces(context.config);
  const lastDescriptor = lastCreateDescriptor(context, idmapNamespaces.length);
  const handOut = handOutNumbers(context, lastDescriptor + 1);
  phases.topic('start of init').add(planStartInit(context, { lastDescriptor, handOut }));
  if (cgroup.scope !== undefined) addUnit(context.descriptors, phases);
  addNamespaces(context, phases, {
    openTrees: planOutsideRoot(context).concat(trees.steps),
    places: joinPlaces(cgroup),
  });
  addRootfs(context, phases, planMounts(context, cgroup, trees.trees));
  addIdentity(context, phases, process);
  phases.topic('handles for others').add(planHandOut(context, handOut));
  const found = process === undefined ? [] : [allocateFound(memory, process)];
  if (process !== undefined) {
    const finish = planFinishProcess(context, process, { filtersEarly: input.seccomp?.position === 'early' });
    phases.topic('user, groups and capabilities').add(finish.become);
    phases.topic('program').add(...found.map((region) => planFindExecutable(context, process, region)));
    phases.topic('seccomp filter');
    addEarlyFilter(phases, context.descriptors, input.seccomp, finish);
  }
  phases.topic('answer').add([reply(context.descriptors.sync, 'ready', 'tell that it is ready', found)]);
  phases.exchange('ready', 'become the container');
  return {
    cgroup,
    intelRdt: planIntelRdt(context.config, context.id),
    idmapNamespaces,
    idMaps: planIdMaps(context.config, context.host.identity),
    netDevices: planNetDevices(context.config),
    isConnected: context.options.isConnected === true,
    coversRootfs: needsRootfsCover(context.config),
    overlay: context.options.overlay,
    phases: phases.finish(),
    rlimits: process === undefined ? [] : planRlimits(process, context.options.openFiles),
    candidates: process === undefined ? [] : candidates(process),
    hooks: createContainerSetting(context, context.slots.root),
    ...planStart(context, handOut, input.seccomp),
    warnings: context.warnings,
  };
}

/** An early filter may know nothing of getsockopt(2), and in a user namespace it tells nothing. */
function planStart(
  context: PlanContext,
  numbers: readonly number[],
  seccomp?: CompiledSeccomp,
): Pick<CreatePlan, 'park' | 'needsToken' | 'handsOut'> {
  const { euid, inUserNamespace } = context.host.identity;
  const isInside = inUserNamespace || findNamespace(context.config, 'user') !== undefined;
  const needsToken = isInside || seccomp?.position === 'early' || handsOut(context);
  const connection = context.memory.word('connection');
  const options = { connection, ...(seccomp === undefined ? {} : { seccomp }) };
  return {
    park: ({ start, handles }) =>
      planPark(context.descriptors, {
        ...options,
        proof: needsToken ? { kind: 'token', token: start } : { kind: 'uid', uid: euid },
        ...(numbers.length === 0 ? {} : { handOut: { token: handles, numbers, memory: context.memory } }),
      }),
    needsToken,
    handsOut: numbers.length > 0,
  };
}

/** Phases `id-maps` and `pid`: from the process that tsrun started to the container's own. */
function addNamespaces(
  context: PlanContext,
  phases: PhaseList,
  { openTrees, places }: { readonly openTrees: readonly Step[]; readonly places: readonly JoinPlace[] },
): void {
  const joinsCgroupNamespace = (findNamespace(context.config, 'cgroup')?.path ?? '') !== '';
  const joinsUnified = findNamespace(context.config, 'user') !== undefined || joinsCgroupNamespace;
  const { joinCgroups, clone } = planClone(context, places, { joinsUnified });
  phases.topic('score for when memory runs out').add(planOomScore(context, context.config.process));
  phases.topic('cgroups').add(joinCgroups);
  phases.topic('sources of mounts').add(openTrees);
  phases.topic('namespaces').add(planJoinNamespaces(context));
  if (hasNewNamespace(context.config, 'user')) {
    phases.add(planNewUserNamespace(context)).exchange('id-maps', 'enter a user namespace');
  }
  // Nobody sees the first process of a new pid namespace but those that it starts itself.
  const isSeen = findNamespace(context.config, 'pid') !== undefined && !hasNewNamespace(context.config, 'pid');
  const shed = isSeen ? planShedForCreate(context, context.config.process) : [];
  phases
    .add(planUserNamespaceRoot(context), planTimeNamespace(context), shed, clone)
    .exchange('pid', 'create the process');
}

/** Phases `copy-up` and `rootfs`: the file system, as seen before it is entered. */
function addRootfs(context: PlanContext, phases: PhaseList, mounts: MountsPlan): void {
  const { config } = context;
  const procHandle = needsProcHandle(config) || handsOut(context) ? planProcHandle(context) : [];
  const labelled = hasKeyLabel(config.process);
  phases
    .topic('session, keyring and network')
    .add(
      [call('setsid', [], { label: 'start a session' })],
      labelled ? procHandle : [],
      labelKeys(context, config.process, planNewKeyring(context)),
      planResetAffinity(),
      hasNewNamespace(config, 'network') ? planLoopback(context) : [],
    );
  if (planNetDevices(config).length > 0 || context.options.isConnected === true) {
    phases.add(planNetlinkSocket(context)).exchange('network', 'take network devices over');
    phases.add(reserveScratch(context.descriptors));
  }
  phases
    .topic('root file system')
    .add(planCgroupNamespace(context), labelled ? [] : procHandle, planRootMount(context));
  phases.topic('mounts');
  for (const { steps, exchange } of mounts.stages) {
    phases.add(steps);
    if (exchange === 'copy-up') phases.exchange('copy-up', 'prepare the rootfs');
  }
  if (makesDevices(context)) phases.topic('devices').add(planDevices(context));
  if (config.process !== undefined) phases.topic('working directory').add(planMakeCwd(context, config.process));
  if (hasCreateHooks(context)) {
    phases
      .topic('hooks')
      .add([reply(context.descriptors.sync, 'rootfs', 'wait for the hooks')])
      .exchange('rootfs', 'prepare the rootfs');
  }
  phases.topic('root of the process');
  addEnterRoot(context, phases);
  phases.topic('standard input, output and error');
  if (config.process !== undefined && config.process.terminal !== true) phases.add(planNullStdio(context));
  if (config.process?.terminal === true) {
    phases.add(planTerminal(context, config.process, { console: true })).exchange('console', 'open the console');
    phases.add(reserveScratch(context.descriptors));
  }
  phases.topic('what is read-only from now on').add(mounts.last, planReadonlyRoot(context));
}

function hasCreateHooks({ config: { hooks } }: PlanContext): boolean {
  const lists = [hooks?.prestart, hooks?.createRuntime, hooks?.createContainer];
  return lists.some((list) => list !== undefined && list.length > 0);
}

function planReadonlyRoot(context: PlanContext): Step[] {
  if (context.config.root?.readonly !== true) return [];
  const attributes = { set: MOUNT_ATTR_RDONLY, clear: 0 };
  const root: Region = context.slots.root;
  return changeAttributes(context, root, attributes, {
    label: 'make the root read-only',
    pointer: '/root/readonly',
    isDirectory: true,
  });
}

/** What the container is called, sees and may do; phase `passwd` when the home directory is not given. */
function addIdentity(context: PlanContext, phases: PhaseList, process: Process | undefined): void {
  phases.topic('host name').add(planUts(context));
  phases.topic('AppArmor profile').add(process === undefined ? [] : planApparmor(context, process));
  phases.topic('sysctl').add(planSysctl(context));
  phases.topic('read-only paths').add(planReadonlyPaths(context));
  phases.topic('masked paths').add(planMaskedPaths(context));
  phases.topic('propagation of mounts').add(planFinalPropagation(context));
  if (process === undefined) return;
  const passwd = planPasswd(context, process);
  if (passwd.length > 0) {
    phases.topic('home directory').add(passwd).exchange('passwd', 'look up the home directory');
    phases.add(reserveScratch(context.descriptors));
  }
  phases
    .topic('attributes of the process')
    .add(
      planUmask(process),
      planNoNewPrivileges(process),
      planScheduler(context, process),
      planIoPriority(process),
      planPersonality(context),
      planMemoryPolicy(context),
      planSelinux(context, process),
      planLandlock(context),
    );
}
