import { selectCgroupManager } from '../cgroup/select.ts';
import type { CgroupManager, CgroupReference } from '../cgroup/manager.ts';
import { TsrunError } from '../errors.ts';
import { ownCgroupsAreWritable } from '../host/cgroup-layout.ts';
import { readHostFacts } from '../host/facts.ts';
import { chooseCgroupManager } from '../plan/cgroup/choose-manager.ts';
import { planCgroup, type BusName } from '../plan/cgroup/plan.ts';
import { descriptorNumbers, findNamespace, hasNewNamespace, type DescriptorNumbers } from '../plan/context.ts';
import { planCreate, type CreatePlan } from '../plan/create.ts';
import type { HostFacts } from '../plan/facts.ts';
import { serviceEnvironment, withNotifyMount } from '../plan/service-manager.ts';
import type { Conversation } from '../process/conversation.ts';
import { openIdmapNamespaces } from '../process/idmap-namespaces.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { listenUnix } from '../sys/socket.ts';
import { O_DIRECTORY, O_PATH } from '../util/constants.ts';
import { bringUp } from './bring-up.ts';
import { readBundle, type Bundle } from './bundle.ts';
import { Cleanup } from './cleanup.ts';
import type { PhaseHandlers, PhaseResults } from './conversation-phases.ts';
import { runHooks } from './hooks.ts';
import { makeNotifyDirectory, notifyDirectory } from './notify-socket.ts';
import { requirePreservedDescriptors } from './preserved-descriptors.ts';
import { identifyProcess, innermostPid, type ProcessIdentity } from './process-identity.ts';
import type { CreateOptions, Runtime } from './runtime.ts';
import type { Process } from '../spec/generated/config.ts';
import { specVersionMax } from '../spec/versions.ts';
import { INIT_SOCKET, StateDirectory, type ContainerRecord } from './state-store.ts';

/** A container whose init is ready and waits for its last program. */
export interface BuiltContainer {
  readonly directory: StateDirectory;
  readonly record: ContainerRecord;
  readonly bundle: Bundle;
  readonly plan: CreatePlan;
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
  given: BuildOptions,
  decide: typeof planContainer = planContainer,
): Promise<BuiltContainer> {
  const directory = new StateDirectory(runtime.root, given.id);
  // From here on it makes no difference why a descriptor is the program's.
  const options = { ...given, preserveFds: (given.listenFds ?? 0) + given.preserveFds };
  requirePreservedDescriptors(options.preserveFds);
  const bundle = readBundleFor(directory, options, runtime);
  options.checkProcess(bundle.config.process);
  const host = readHostFacts();
  const plan = decide(runtime, options, bundle, host);
  for (const warning of plan.warnings) runtime.log.warning(warning);
  const cleanup = new Cleanup(runtime.log);
  directory.make();
  cleanup.add('remove the state directory', () => {
    directory.remove();
  });
  try {
    const lock = await directory.lock();
    cleanup.add('release the lock', () => {
      lock.close();
    });
    return await build({ runtime, options, bundle, host, plan, directory, cleanup, lock });
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

/** The bundle, with the directory of the notify socket among its mounts where there will be one. */
function readBundleFor(directory: StateDirectory, options: BuildOptions, { log }: Runtime): Bundle {
  const { bundle: hostPath, configFile, notifySocket } = options;
  if (notifySocket === undefined) return readBundle(hostPath, configFile, log);
  const source = notifyDirectory(directory);
  const bundle = readBundle(hostPath, configFile, log, (config) => withNotifyMount(config, source));
  const sources = { ...bundle.facts.sources, [source]: 'directory' as const };
  return { ...bundle, facts: { ...bundle.facts, sources } };
}

/** Decides everything; also what `explain` shows. Errors: `bundle`, `config`, `unsupported`. */
export function planContainer(
  runtime: Pick<Runtime, 'cgroupManager'>,
  options: Pick<CreateOptions, 'id' | 'noPivot' | 'noNewKeyring' | 'preserveFds'>,
  bundle: Bundle,
  host: HostFacts,
): CreatePlan {
  const { id, noPivot, noNewKeyring, preserveFds } = options;
  refuseUnsupported(bundle.config);
  const isRoot = host.identity.euid === 0;
  const choice = { asked: runtime.cgroupManager, isRoot, isWritable: isRoot || ownCgroupsAreWritable(host.cgroup) };
  const manager = chooseCgroupManager(bundle.config, choice);
  const cgroup = planCgroup({
    config: bundle.config,
    layout: host.cgroup,
    id,
    manager,
    rootless: !isRoot,
    systemd: ownSystemd(host),
  });
  return planCreate(
    { id, config: bundle.config, host, bundle: bundle.facts, options: { noPivot, noNewKeyring, preserveFds } },
    cgroup,
  );
}

/** root of the machine asks its systemd; everyone else the one of the own session, which knows the user by the id outside. */
function ownSystemd({ identity }: HostFacts): { readonly bus: BusName; readonly uid: number } {
  const isUser = identity.euid !== 0 || identity.inUserNamespace;
  return { bus: isUser ? 'user' : 'system', uid: identity.euid };
}

/** Properties that would weaken the container if they were passed over in silence. Errors: `unsupported`. */
function refuseUnsupported({ linux, hooks }: Bundle['config']): void {
  const found = [
    [linux?.seccomp !== undefined, '/linux/seccomp'],
    [linux?.intelRdt !== undefined, '/linux/intelRdt'],
    [Object.keys(linux?.netDevices ?? {}).length > 0, '/linux/netDevices'],
    [(hooks?.createContainer?.length ?? 0) > 0, '/hooks/createContainer'],
    [(hooks?.startContainer?.length ?? 0) > 0, '/hooks/startContainer'],
  ] as const;
  const pointers = found.filter(([present]) => present).map(([, pointer]) => pointer);
  if (pointers.length === 0) return;
  throw new TsrunError('unsupported', `this version of tsrun cannot apply ${pointers.join(', ')} of config.json`);
}

interface Building {
  readonly runtime: Runtime;
  readonly options: BuildOptions;
  readonly bundle: Bundle;
  readonly host: HostFacts;
  readonly plan: CreatePlan;
  readonly directory: StateDirectory;
  readonly cleanup: Cleanup;
  readonly lock: OwnedFd;
}

async function build(building: Building): Promise<BuiltContainer> {
  const { options, bundle, host, plan, directory, cleanup, lock } = building;
  directory.writeConfig(bundle.text);
  const notifies = options.notifySocket !== undefined;
  if (notifies) makeNotifyDirectory(directory);
  const driver = selectCgroupManager(plan.cgroup.manager);
  // Written before the cgroup is made: a tsrun that is killed in between leaves nothing that delete cannot find.
  const preview = firstRecord(building, driver.preview(plan.cgroup));
  directory.writeRecord(preview);
  const cgroup = driver.create(plan.cgroup);
  cleanup.add('remove the cgroup', () => cgroup.remove());
  let record: ContainerRecord = { ...preview, cgroup: cgroup.reference };
  directory.writeRecord(record);
  const descriptors = descriptorNumbers(options.preserveFds);
  const { inherited, lent } = await lendDescriptors(building, descriptors);
  let init: ProcessIdentity | undefined;
  const { conversation, results } = await bringUp({
    arch: host.arch,
    syncFd: descriptors.sync,
    descriptors: inherited,
    fallbackDirectory: directory.path,
    phases: plan.phases,
    idMaps: plan.idMaps,
    rlimits: plan.rlimits,
    uid: bundle.config.process?.user?.uid ?? 0,
    candidates: plan.candidates,
    cleanup,
    onSpawned: () => {
      for (const fd of lent) fd.close();
    },
    onCgroup: async (pid) => {
      await cgroup.attach(pid, plan.cgroup);
      record = { ...record, cgroup: cgroup.reference };
    },
    onPid: (pid) => {
      init = identifyProcess(pid);
      directory.writeRecord({ ...record, ...(init === undefined ? {} : { init }) });
      // Only now: the clone itself needs room below a low pids limit.
      cgroup.applyLimits(plan.cgroup);
    },
    onConsole: options.onConsole,
    onRootfs: () => runRuntimeHooks(building, init?.pid ?? 0),
  });
  cgroup.applyDevices(plan.cgroup);
  const finished: ContainerRecord = {
    ...record,
    ...(init === undefined ? {} : { init }),
    executable: results.executable,
    home: results.home,
    environment: serviceEnvironment({ listenFds: options.listenFds ?? 0, pid: innermostPid(results.pid), notifies }),
    notifies,
  };
  return { directory, record: finished, bundle, plan, cgroup, conversation, descriptors, results, cleanup, lock };
}

/** What init is given: number in init -> descriptor here. `lent` is closed once init has it. */
async function lendDescriptors(
  { options, host, plan, directory, cleanup }: Building,
  descriptors: DescriptorNumbers,
): Promise<{ inherited: Map<number, number>; lent: OwnedFd[] }> {
  const inherited = new Map<number, number>(options.stdio.entries());
  for (let number = 3; number < descriptors.sync; number++) inherited.set(number, number);
  const lent: OwnedFd[] = [];
  cleanup.add('close the descriptors for init', () => {
    for (const fd of lent) fd.close();
  });
  lent.push(
    ...(await openIdmapNamespaces(plan.idmapNamespaces, { arch: host.arch, fallbackDirectory: directory.path })),
  );
  lent.forEach((fd, index) => inherited.set(descriptors.idmaps + index, fd.number));
  if (options.listens) {
    const listener = listenForStart(directory);
    lent.push(listener);
    inherited.set(descriptors.listener, listener.number);
  }
  return { inherited, lent };
}

function firstRecord({ options, bundle, directory }: Building, cgroup: CgroupReference): ContainerRecord {
  const { config, facts } = bundle;
  const creator = identifyProcess(process.pid);
  if (creator === undefined) throw new TsrunError('host', 'read "/proc/self/stat": this process is not there');
  return {
    version: 1,
    id: directory.id,
    bundle: facts.bundle,
    rootfs: facts.rootfs,
    created: new Date().toISOString(),
    ...(config.annotations === undefined ? {} : { annotations: config.annotations }),
    creator,
    isComplete: false,
    cgroup,
    preserveFds: options.preserveFds,
    isChrooted: options.noPivot || !hasNewNamespace(config, 'mount'),
    hasPidNamespace: findNamespace(config, 'pid') !== undefined && hasNewNamespace(config, 'pid'),
  };
}

/** The path of a socket is short (108 bytes): it is named through a descriptor of its directory. */
function listenForStart(directory: StateDirectory): OwnedFd {
  using handle = openFile(directory.path, O_PATH | O_DIRECTORY);
  return listenUnix(`/proc/self/fd/${handle.number}/${INIT_SOCKET}`, 'seqpacket');
}

async function runRuntimeHooks({ bundle, directory, runtime }: Building, pid: number): Promise<void> {
  const { config, facts } = bundle;
  const state = {
    ociVersion: specVersionMax,
    id: directory.id,
    pid,
    status: 'creating' as const,
    bundle: facts.bundle,
    ...(config.annotations === undefined ? {} : { annotations: config.annotations }),
  };
  await runHooks('prestart', config.hooks?.prestart, state, runtime.log);
  await runHooks('createRuntime', config.hooks?.createRuntime, state, runtime.log);
}
