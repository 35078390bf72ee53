import { readOomKills } from '../../cgroup/oom.ts';
import { selectCgroupManager } from '../../cgroup/select.ts';
import type { CgroupManager, CgroupReference } from '../../cgroup/manager.ts';
import { ownCgroupsAreWritable, withoutForeignTracking } from '../../host/cgroup-layout.ts';
import { readHostFacts } from '../../host/facts.ts';
import { chooseCgroupManager } from '../../plan/cgroup/choose-manager.ts';
import { planCgroup, type BusName } from '../../plan/cgroup/plan.ts';
import { descriptorNumbers, findNamespace, hasNewNamespace, type DescriptorNumbers } from '../../plan/base/context.ts';
import { planCreate, type CreatePlan } from '../../plan/create.ts';
import type { HostFacts } from '../../plan/base/facts.ts';
import type { CompiledSeccomp } from '../../plan/seccomp/load.ts';
import { requirePassableFilter } from '../../plan/seccomp/refusals.ts';
import { serviceEnvironment, withNotifyMount } from '../../plan/service-manager.ts';
import type { Conversation } from '../../process/conversation.ts';
import { openIdmapNamespaces } from '../../process/idmapped-namespaces.ts';
import { nextTurn, takePart } from '../../process/turns.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { bringUp } from './bring-up.ts';
import { readBundle, type Bundle } from './bundle.ts';
import { Cleanup } from './cleanup.ts';
import type { PhaseHandlers, PhaseResults } from './exchanges.ts';
import { runCreateHooks } from '../hooks/create.ts';
import { listenForStart } from '../store/init-socket.ts';
import { moveNetDevices } from './net-devices.ts';
import { makeNotifyDirectory, notifyDirectory } from '../caller/notify-socket.ts';
import { runPoststop } from '../hooks/poststop.ts';
import { identifyProcess, innermostPid } from '../store/process-identity.ts';
import { removeResctrl, Resctrl } from './resctrl.ts';
import type { Runtime } from '../caller/caller.ts';
import type { CreateOptions, Stdio } from '../store/options.ts';
import { compileSeccomp, handOverListener, stateOf } from './become-program.ts';
import type { Config, Process } from '../../spec/generated/config.ts';
import { StateDirectory } from '../store/directory.ts';
import type { ContainerRecord } from '../store/record.ts';

/** A container whose init is ready and waits for its last program. */
export interface BuiltContainer {
  readonly directory: StateDirectory;
  readonly record: ContainerRecord;
  readonly bundle: Bundle;
  readonly plan: CreatePlan;
  /** The filter of the program, which is not loaded yet when its position is `late`. */
  readonly seccomp: CompiledSeccomp | undefined;
  readonly cgroup: CgroupManager;
  readonly conversation: Conversation;
  readonly descriptors: DescriptorNumbers;
  readonly results: PhaseResults;
  /** Undoes everything in reverse order; for the caller whose own part fails. */
  readonly cleanup: Cleanup;
  /** The container's lock; the caller closes it when the container is created, or its program runs. */
  readonly lock: OwnedFd;
}

export interface BuildOptions extends CreateOptions {
  /** Give init a socket on which it can wait for `start`. */
  readonly listens: boolean;
  /** Refuses a process that the caller cannot serve, before anything is made. */
  readonly checkProcess: (process: Process | undefined) => void;
  readonly onConsole: PhaseHandlers['onConsole'];
  /** Descriptors for the program in the place of `stdio`, when the process is known; who waits in the foreground lends them. */
  readonly lendStdio?: (process: Process | undefined) => Stdio;
  /** Called when init has its descriptors. */
  readonly onSpawned?: () => void;
}

/**
 * Everything that `create` and `run` have in common: from a bundle to an init that is ready.
 *
 * A failure at any point leaves nothing behind: no process, cgroup, mount or state directory. If tsrun itself is killed, init
 * reads the end of the sync pipe and exits; `delete` finds the rest through the state directory. `decide` makes the plan: a test
 * passes one whose steps fail.
 */
export async function buildContainer(
  runtime: Runtime,
  options: BuildOptions,
  decide: typeof planContainer = planContainer,
): Promise<BuiltContainer> {
  using _part = takePart();
  await nextTurn();
  const directory = new StateDirectory(runtime.root, options.id);
  const bundle = readBundleFor(directory, options, runtime);
  options.checkProcess(bundle.config.process);
  const host = readHostFacts(runtime.caller.proc);
  await nextTurn();
  const seccomp = await compileSeccomp(bundle.config, bundle.config.process, host, { runtime, isCached: true });
  requirePassableFilter(seccomp, { waits: options.listens });
  const lendsStdio = options.lendStdio !== undefined;
  const plan = decide(runtime, { ...options, lendsStdio, seccomp }, bundle, host);
  for (const warning of plan.warnings) runtime.log.warning(warning);
  const cleanup = new Cleanup(runtime.log);
  const environment = { isThere: false };
  const { id } = options;
  const { config, facts } = bundle;
  directory.make();
  // The first to be added is the last to be done.
  cleanup.add('run the poststop hooks', async () => {
    if (!environment.isThere) return;
    await runPoststop({ id, bundle: facts.bundle, annotations: config.annotations }, config, runtime);
  });
  cleanup.add('remove the state directory', () => {
    directory.remove();
  });
  try {
    const lock = await directory.lock();
    cleanup.add('release the lock', () => {
      lock.close();
    });
    await nextTurn();
    return await build({ runtime, options, bundle, host, plan, seccomp, directory, cleanup, lock, environment });
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

/** The bundle, with the directory of the notify socket among its mounts where there will be one. */
function readBundleFor(directory: StateDirectory, options: BuildOptions, runtime: Runtime): Bundle {
  if (options.notifySocket === undefined) return readBundle(options, runtime);
  const source = notifyDirectory(directory);
  const bundle = readBundle(options, runtime, (config) => withNotifyMount(config, source));
  const sources = { ...bundle.facts.sources, [source]: 'directory' as const };
  return { ...bundle, facts: { ...bundle.facts, sources } };
}

/** Decides everything; also what `explain` shows. Errors: `bundle`, `config`, `unsupported`. */
export function planContainer(
  runtime: Pick<Runtime, 'cgroupManager' | 'rootless' | 'caller'>,
  options: Pick<CreateOptions, 'id' | 'noPivot' | 'noNewKeyring' | 'preserved'> & {
    readonly seccomp: CompiledSeccomp | undefined;
    readonly lendsStdio?: boolean;
    readonly listens?: boolean;
  },
  bundle: Bundle,
  host: HostFacts,
): CreatePlan {
  const { id, noPivot, noNewKeyring, preserved, lendsStdio = false, listens = false, seccomp } = options;
  const { openFiles } = runtime.caller;
  // Rootless podman calls its runtime as root of a user namespace, who may do no more to cgroups than the user behind it.
  const isRoot = host.identity.euid === 0 && !host.identity.inUserNamespace;
  const { cgroupManager: asked, rootless = !isRoot } = runtime;
  const layout = rootless ? withoutForeignTracking(host.cgroup) : host.cgroup;
  const choice = { asked, rootless, isWritable: !rootless || ownCgroupsAreWritable(layout) };
  const manager = chooseCgroupManager(bundle.config, choice);
  const cgroup = planCgroup({
    config: bundle.config,
    layout,
    id,
    manager,
    rootless: !isRoot,
    systemd: ownSystemd(host),
  });
  const plan = planCreate(
    {
      id,
      config: bundle.config,
      host,
      bundle: bundle.facts,
      options: {
        noPivot,
        noNewKeyring,
        preserveFds: preserved.length,
        lendsStdio,
        waitsForStart: listens,
        ...(openFiles && { openFiles }),
      },
      ...(seccomp === undefined ? {} : { seccomp }),
    },
    cgroup,
  );
  const isUntracked = rootless && manager === 'disabled' && !hasOwnPids(bundle.config);
  return isUntracked ? { ...plan, warnings: [...plan.warnings, UNTRACKED] } : plan;
}

const UNTRACKED =
  'the container has neither a cgroup nor a pid namespace of its own: those of its processes that outlive its init cannot be found, not even by "delete --force"';

function hasOwnPids(config: Config): boolean {
  return findNamespace(config, 'pid') !== undefined && hasNewNamespace(config, 'pid');
}

/** root of the machine asks its systemd; everyone else the one of the own session, which knows the user by the id outside. */
function ownSystemd({ identity }: HostFacts): { readonly bus: BusName; readonly uid: number } {
  const isUser = identity.euid !== 0 || identity.inUserNamespace;
  return { bus: isUser ? 'user' : 'system', uid: identity.euid };
}

interface Building {
  readonly runtime: Runtime;
  readonly options: BuildOptions;
  readonly bundle: Bundle;
  readonly host: HostFacts;
  readonly plan: CreatePlan;
  readonly seccomp: CompiledSeccomp | undefined;
  readonly directory: StateDirectory;
  readonly cleanup: Cleanup;
  readonly lock: OwnedFd;
  /** runtime.md, "Lifecycle": once the container's environment exists, its end is followed by the poststop hooks. */
  readonly environment: { isThere: boolean };
}

async function build(building: Building): Promise<BuiltContainer> {
  const { options, bundle, host, plan, seccomp, directory, cleanup, lock } = building;
  directory.writeConfig(bundle.text);
  const notifies = options.notifySocket !== undefined;
  if (notifies) makeNotifyDirectory(directory);
  const groups = makeGroups(building);
  const { cgroup } = groups;
  if (plan.coversRootfs) groups.record = await coverRoot(building, groups.record);
  const oomKills = readOomKills(cgroup.reference);
  const descriptors = descriptorNumbers(options.preserved.length);
  const { inherited, lent } = await lendDescriptors(building, descriptors);
  const { conversation, results } = await bringUp({
    arch: host.arch,
    syncFd: descriptors.sync,
    descriptors: inherited,
    fallbackDirectory: directory.file(),
    phases: plan.phases,
    idMaps: plan.idMaps,
    rlimits: plan.rlimits,
    uid: bundle.config.process?.user?.uid ?? 0,
    candidates: plan.candidates,
    cleanup,
    wasOomKilled: () => readOomKills(cgroup.reference) > oomKills,
    onSpawned: () => {
      for (const fd of lent) fd.close();
      options.onSpawned?.();
    },
    ...answersOf(building, groups),
  });
  building.environment.isThere = true;
  cgroup.applyDevices(plan.cgroup);
  const { pid, executable, home } = results;
  const environment = serviceEnvironment({ listenFds: options.listenFds ?? 0, pid: innermostPid(pid), notifies });
  const record: ContainerRecord = { ...groups.record, executable, home, environment, notifies };
  return { directory, record, bundle, plan, seccomp, cgroup, conversation, descriptors, results, cleanup, lock };
}

/** The parent's part of the conversation. The record of `groups` learns on the way what is needed to find the container again. */
function answersOf(building: Building, groups: Groups): Omit<PhaseHandlers, 'spawnedPid' | keyof CreatePlan | 'uid'> {
  const { runtime, options, bundle, plan, seccomp, directory } = building;
  const { cgroup, resctrl } = groups;
  const pidOf = (): number => groups.record.init?.pid ?? 0;
  return {
    onCgroup: async (pid) => {
      await cgroup.attach(pid, plan.cgroup);
      groups.record = { ...groups.record, cgroup: cgroup.reference };
    },
    onPid: async (pid) => {
      const init = identifyProcess(pid);
      groups.record = { ...groups.record, ...(init === undefined ? {} : { init }) };
      directory.writeRecord(groups.record);
      // Only now: the clone itself needs room below a low pids limit.
      await cgroup.applyLimits(plan.cgroup, plan.cgroup.scope?.limits);
      resctrl?.join(pid);
    },
    onNetwork: (socket) => {
      moveNetDevices(plan.netDevices, { pid: pidOf(), socket });
    },
    onConsole: options.onConsole,
    onRootfs: async (conversation) => {
      building.environment.isThere = true;
      const { config } = bundle;
      const source = groups.record;
      await runCreateHooks({ config, source, pid: pidOf(), conversation, setting: plan.hooks, runtime });
    },
    onListener: (reply) =>
      handOverListener({ pid: pidOf(), state: stateOf(groups.record, 'creating'), seccomp }, reply),
  };
}

interface Groups {
  readonly cgroup: CgroupManager;
  readonly resctrl: Resctrl | undefined;
  record: ContainerRecord;
}

/** The cgroups and the resctrl groups that init is going to be in, with the record that finds them again. */
function makeGroups(building: Building): Groups {
  const { plan, directory, cleanup } = building;
  const driver = selectCgroupManager(plan.cgroup.manager);
  // Written before the cgroup is made: a tsrun that is killed in between leaves nothing that delete cannot find.
  const resctrl = makeResctrl(building);
  const preview: ContainerRecord = {
    ...firstRecord(building, driver.preview(plan.cgroup)),
    ...(resctrl === undefined ? {} : { resctrl: resctrl.preview() }),
  };
  directory.writeRecord(preview);
  const cgroup = driver.create(plan.cgroup);
  // Hooks that ran in the container may have left processes in it.
  cleanup.add('remove the cgroup', () => cgroup.remove({ kill: true }));
  const made = resctrl?.make();
  if (made !== undefined) {
    cleanup.add('remove what was made in resctrl', () => {
      removeResctrl(made);
    });
  }
  const record: ContainerRecord = {
    ...preview,
    cgroup: cgroup.reference,
    ...(made === undefined ? {} : { resctrl: made }),
  };
  // Mostly the groups are as they were foreseen, and the record says so already.
  if (JSON.stringify(record) !== JSON.stringify(preview)) directory.writeRecord(record);
  return { cgroup, resctrl, record };
}

/** The record knows of the cover before it is made. */
async function coverRoot({ runtime, bundle, directory, cleanup }: Building, record: ContainerRecord): Promise<ContainerRecord> {
  const { coverRootfs, previewRootfsCover, uncoverRootfs } = await import('./rootfs-cover.ts');
  const rootfsCover = previewRootfsCover(bundle.facts.rootfs);
  const covered = { ...record, rootfsCover };
  directory.writeRecord(covered);
  coverRootfs(rootfsCover);
  cleanup.add('unmount the rootfs', () => {
    uncoverRootfs(rootfsCover, runtime.caller);
  });
  return covered;
}

/** The planner has refused a config that wants resctrl where there is none. */
function makeResctrl({ plan, bundle }: Building): Resctrl | undefined {
  const { resctrl } = bundle.facts;
  return plan.intelRdt === undefined || resctrl === undefined ? undefined : new Resctrl(resctrl, plan.intelRdt);
}

/** What init is given: number in init -> descriptor here. `lent` is closed once init has it. */
async function lendDescriptors(
  { options, bundle, host, plan, directory, cleanup }: Building,
  descriptors: DescriptorNumbers,
): Promise<{ inherited: Map<number, number>; lent: OwnedFd[] }> {
  const stdio = options.lendStdio?.(bundle.config.process) ?? options.stdio;
  const inherited = new Map<number, number>(stdio.entries());
  options.preserved.forEach((fd, index) => inherited.set(3 + index, fd));
  const lent: OwnedFd[] = [];
  cleanup.add('close the descriptors for init', () => {
    for (const fd of lent) fd.close();
  });
  lent.push(
    ...(await openIdmapNamespaces(plan.idmapNamespaces, { arch: host.arch, fallbackDirectory: directory.file() })),
  );
  lent.forEach((fd, index) => inherited.set(descriptors.idmaps + index, fd.number));
  if (options.listens) {
    const listener = listenForStart(directory);
    lent.push(listener);
    inherited.set(descriptors.listener, listener.number);
  }
  return { inherited, lent };
}

function firstRecord({ runtime, options, bundle, directory }: Building, cgroup: CgroupReference): ContainerRecord {
  const { config, facts } = bundle;
  return {
    version: 1,
    id: directory.id,
    bundle: facts.bundle,
    rootfs: facts.rootfs,
    created: new Date().toISOString(),
    ...(config.annotations === undefined ? {} : { annotations: config.annotations }),
    creator: runtime.caller.identity,
    isComplete: false,
    cgroup,
    preserveFds: options.preserved.length,
    isChrooted: options.noPivot || !hasNewNamespace(config, 'mount'),
    hasPidNamespace: hasOwnPids(config),
  };
}
