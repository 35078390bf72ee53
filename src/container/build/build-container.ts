import { readOomKills } from '../../cgroup/oom.ts';
import { descriptorNumbers, type DescriptorNumbers } from '../../plan/base/context.ts';
import { serviceEnvironment } from '../../plan/service-manager.ts';
import type { Integer } from '../../plan/cgroup/values.ts';
import { Conversation } from '../../process/conversation.ts';
import { writeIdMaps } from '../../process/id-maps.ts';
import { openIdmapNamespaces } from '../../process/idmapped-namespaces.ts';
import type { Partner } from '../../process/partner.ts';
import { spawnInit, type SpawnInitOptions } from '../../process/spawned.ts';
import { nextTurn } from '../../process/turns.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { unreachable } from '../../util/unreachable.ts';
import type { Runtime } from '../caller/caller.ts';
import { handOverConsole } from '../caller/console.ts';
import { makeNotifyDirectory } from '../caller/notify-socket.ts';
import { runCreateHooks } from '../hooks/create.ts';
import { runPoststop } from '../hooks/poststop.ts';
import type { PreparedNetwork } from '../network/prepared.ts';
import { listenForStart } from '../store/init-socket.ts';
import { identifyProcess, innermostPid } from '../store/process-identity.ts';
import type { ContainerRecord } from '../store/record.ts';
import { Attempt } from './attempt.ts';
import { handOverListener, stateOf } from './become-program.ts';
import { bringUp, copyUpOrFail, readExecutable, readHome } from './bring-up.ts';
import { explainDeath } from '../failures/explain-death.ts';
import { coverRoot, layer, makeGroups, type Groups } from './groups.ts';
import { hideHostMounts } from './host-mounts.ts';
import { moveNetDevices } from './net-devices.ts';
import type { PreparedContainer } from './prepare-container.ts';
import { applyRlimits } from './rlimits.ts';

/** A container whose init is ready and waits for its last program. Who cannot finish it undoes the attempt. */
export interface BuiltContainer {
  readonly prepared: PreparedContainer;
  readonly attempt: Attempt;
  readonly partner: Partner;
  readonly conversation: Conversation;
  readonly descriptors: DescriptorNumbers;
  /** How often the kernel had killed a process of its cgroup for want of memory before it was there. */
  readonly oomKills: Integer;
}

/**
 * Everything that `create` and `run` have in common: from a plan to an init that is ready.
 *
 * A failure at any point leaves nothing behind: no process, cgroup, mount or state directory. If tsrun itself is killed, init
 * reads the end of the sync pipe and exits. Errors: `exists`, `step`, `program`, `cgroup`, `hook`, `state`, `host`; `init` with the
 * way it ended when it died.
 */
export async function buildContainer(runtime: Runtime, prepared: PreparedContainer): Promise<BuiltContainer> {
  const { directory, bundle } = prepared;
  const { config, facts } = bundle;
  const ended = { id: directory.id, bundle: facts.bundle, annotations: config.annotations };
  const poststop = (): Promise<void> => runPoststop(ended, config, runtime);
  const attempt = await Attempt.begin(directory, { log: runtime.log, poststop });
  try {
    await nextTurn();
    return await build(runtime, attempt, prepared);
  } catch (error) {
    await attempt.undo();
    // Nothing that has gone well needs it.
    const { explainFailure } = await import('../failures/explain-failure.ts');
    throw explainFailure(error, { config, host: prepared.host, rootfs: facts.rootfs, bundle: facts.bundle });
  }
}

async function build(runtime: Runtime, attempt: Attempt, prepared: PreparedContainer): Promise<BuiltContainer> {
  const { directory, options, bundle, host, plan } = prepared;
  directory.writeConfig(bundle.text);
  if (options.notifySocket !== undefined) makeNotifyDirectory(directory);
  if (prepared.network !== undefined) {
    const { makeNameFiles } = await import('../network/name-files.ts');
    makeNameFiles(runtime, directory, prepared.network);
  }
  runtime.tracer?.phase('make the cgroup');
  const groups = makeGroups(runtime, attempt, prepared);
  await nextTurn();
  if (plan.overlay !== undefined) await layer(attempt, plan.overlay, prepared);
  if (plan.coversRootfs) await coverRoot(runtime, attempt, prepared);
  const oomKills = readOomKills(groups.cgroup.reference);
  const descriptors = descriptorNumbers(options.preserved.length);
  const { inherited, lent } = await lendDescriptors(attempt, prepared, descriptors);
  const syncFd = descriptors.sync;
  const spawn = runtime.caller.spawnInit ?? spawnInit;
  const { tracer } = runtime;
  tracer?.phase('start init');
  const given = tracer?.lend(inherited.descriptors, [syncFd, ...inherited.callers.keys()]) ?? inherited.descriptors;
  const init = { arch: host.arch, syncFd, callers: inherited.callers, descriptors: given };
  const partner = await spawn({ ...init, fallbackDirectory: directory.file() });
  const conversation = new Conversation(partner.socket, { arch: host.arch, syncFd, tracer });
  attempt.undoWith('end the init process', () => {
    conversation.close();
    return partner.end();
  });
  for (const fd of lent) fd.close();
  options.foreground?.closeLent();
  const built = { prepared, attempt, partner, conversation, descriptors, oomKills };
  try {
    if (tracer !== undefined) await conversation.run(tracer.planFirst(given, syncFd));
    await setUp(runtime, built, groups);
  } catch (error) {
    throw await explainDeath(error, partner, () => readOomKills(groups.cgroup.reference) > oomKills);
  }
  attempt.environmentExists();
  groups.cgroup.applyDevices(plan.cgroup);
  attempt.learn(programOf(built));
  return built;
}

/** With what init is going to become the program. */
function programOf({ prepared, attempt, partner }: BuiltContainer): Partial<ContainerRecord> {
  const { listenFds = 0, notifySocket } = prepared.options;
  const { executable = '', home = '/' } = attempt.record;
  const notifies = notifySocket !== undefined;
  const environment = serviceEnvironment({ listenFds, pid: innermostPid(partner.pid), notifies });
  return { executable, home, environment, notifies };
}

/** The parent's part of the conversation. */
async function setUp(runtime: Runtime, built: BuiltContainer, { cgroup, resctrl }: Groups): Promise<void> {
  const { prepared, attempt, partner, conversation } = built;
  const { options, bundle, plan, seccomp } = prepared;
  const { process } = bundle.config;
  for await (const reply of bringUp(plan.phases, conversation)) {
    runtime.tracer?.phase(`the command at "${reply.exchange}"`);
    switch (reply.exchange) {
      case 'cgroup':
        await cgroup.attach(partner.pid, plan.cgroup);
        attempt.learn({ cgroup: cgroup.reference });
        break;
      case 'id-maps':
        if (plan.idMaps === undefined) throw new Error('bug: init waits for id maps that were not planned');
        await writeIdMaps(partner.pid, plan.idMaps);
        break;
      case 'pid': {
        partner.becomes(reply.pid);
        applyRlimits(partner.pid, plan.rlimits);
        if (prepared.network?.joins !== undefined) await requireJoined(prepared.network, partner.pid);
        const init = identifyProcess(partner.pid);
        attempt.remember(init === undefined ? {} : { init });
        // Only now: the clone itself needs room below a low pids limit.
        await cgroup.applyLimits(plan.cgroup, plan.cgroup.scope?.limits);
        resctrl?.join(partner.pid);
        break;
      }
      case 'network':
        moveNetDevices(plan.netDevices, { pid: partner.pid, socket: reply.socket });
        if (plan.isConnected) await connectContainer(built, reply.socket);
        break;
      case 'copy-up':
        await copyUpOrFail(reply);
        break;
      case 'rootfs':
        attempt.environmentExists();
        await runCreateHooks(runtime, conversation, {
          config: bundle.config,
          source: attempt.record,
          pid: partner.pid,
          setting: plan.hooks,
        });
        break;
      case 'host-mounts':
        await hideHostMounts(conversation, { pid: partner.pid, statx: reply.statx });
        break;
      case 'console':
        await handOverConsole(reply.master, { ...options, process });
        break;
      case 'passwd':
        attempt.learn({ home: readHome(reply, process?.user?.uid ?? 0) });
        break;
      case 'seccomp': {
        const state = stateOf(attempt.record, 'creating');
        await handOverListener({ pid: partner.pid, state, seccomp }, reply.listener);
        break;
      }
      case 'ready':
        attempt.learn({ executable: readExecutable(reply, plan.candidates) });
        break;
      default:
        unreachable(reply);
    }
  }
}

async function requireJoined(network: PreparedNetwork, pid: number): Promise<void> {
  const { requireJoined: require } = await import('../network/prepare.ts');
  require(network, pid);
}

async function connectContainer({ prepared, attempt }: BuiltContainer, socket: OwnedFd): Promise<void> {
  const { network, directory, bundle } = prepared;
  const { init } = attempt.record;
  if (network === undefined || init === undefined) throw new Error('bug: a container without a network to connect');
  const { connect, disconnect } = await import('../network/connect.ts');
  attempt.undoWith('disconnect from the network', () => disconnect(attempt.record, init.pid));
  const remember = (changes: Pick<ContainerRecord, 'bridge' | 'cni'>): void => {
    attempt.remember(changes);
  };
  await connect(network, { directory, hostname: bundle.config.hostname, init, socket, remember });
}

/** What init is given. `lent` is closed once init has it. */
async function lendDescriptors(
  attempt: Attempt,
  { options, bundle, host, plan, directory }: PreparedContainer,
  descriptors: DescriptorNumbers,
): Promise<{ inherited: Required<Pick<SpawnInitOptions, 'callers' | 'descriptors'>>; lent: OwnedFd[] }> {
  const stdio = options.foreground?.lend(bundle.config.process) ?? options.stdio;
  const callers = new Map<number, number>([...stdio, ...options.preserved].entries());
  const own = new Map<number, number>();
  const lent: OwnedFd[] = [];
  attempt.undoWith('close the descriptors for init', () => {
    for (const fd of lent) fd.close();
  });
  lent.push(
    ...(await openIdmapNamespaces(plan.idmapNamespaces, { arch: host.arch, fallbackDirectory: directory.file() })),
  );
  lent.forEach((fd, index) => own.set(descriptors.idmaps + index, fd.number));
  if (options.listens) {
    const listener = listenForStart(directory);
    lent.push(listener);
    own.set(descriptors.listener, listener.number);
  }
  return { inherited: { callers, descriptors: own }, lent };
}
