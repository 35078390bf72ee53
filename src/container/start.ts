import { TsrunError } from '../errors.ts';
import { readArch } from '../host/facts.ts';
import { descriptorNumbers } from '../plan/base/context.ts';
import type { ProgramToRun } from '../plan/run-program.ts';
import type { CompiledSeccomp, SeccompPlan } from '../plan/seccomp/load.ts';
import { meaningOfSilence } from '../plan/seccomp/refusals.ts';
import { acceptedInit } from '../process/accepted.ts';
import { Conversation } from '../process/conversation.ts';
import { answerOfTold, lastPacket, ToldInit } from '../process/told-init.ts';
import type { Program } from '../program/step.ts';
import type { Config } from '../spec/generated/config.ts';
import { currentInterruption } from '../sys/events/interruption.ts';
import { OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { Cleanup } from './build/cleanup.ts';
import { destroyContainer } from './build/destroy.ts';
import { leaveWith, type LeaveOptions } from './build/leave.ts';
import { INIT_SOCKET, removeInitSocket } from './store/init-socket.ts';
import { bindNotifySocket, relayReadiness } from './caller/notify-socket.ts';
import { openProcess, type ProcessIdentity } from './store/process-identity.ts';
import { hostFactsOf } from './caller/host.ts';
import type { Runtime } from './caller/caller.ts';
import type { StartOptions } from './store/options.ts';
import { runPoststart, runStartContainer } from './hooks/start.ts';
import { becomeProgram, compileSeccomp, planToRun, stateOf } from './build/become-program.ts';
import { readSavedConfig } from './store/saved-config.ts';
import { StateDirectory } from './store/directory.ts';
import type { ContainerRecord } from './store/record.ts';
import { currentStatus } from './store/status.ts';
import { O_DIRECTORY } from '../sys/open-flags.ts';
import { O_PATH } from '../util/constants.ts';
import { wording } from '../util/wording.ts';
import { endsWithItsProgram, isToldOnce } from '../plan/leave.ts';
import { wrongStatus } from './store/ids.ts';

/**
 * Has init become the container's program (runtime.md, "Start").
 *
 * Returns when the program runs, unless the process leaves then (`LeaveOptions`); with a service manager to notify, when the program is
 * ready or has ended. Errors: `not-found`, `status` unless the container is created, `program` when it cannot be executed (init has ended
 * then), `hook` for startContainer and poststart hooks (the container is destroyed then).
 */
export async function startContainer(
  runtime: Runtime,
  id: string,
  options: StartOptions & LeaveOptions = {},
): Promise<void> {
  using directory = new StateDirectory(runtime.root, id);
  if (options.answer !== undefined) {
    await explainEnd(runtime, directory, options.answer);
    return;
  }
  const { init, notifies } = directory.readRecord();
  const host = options.notifySocket;
  if (host !== undefined && notifies !== true)
    runtime.log.warning('nobody will be notified: the container was created without a notify socket');
  if (host === undefined || notifies !== true || init === undefined) {
    await startUnderLock(runtime, directory, options);
    return;
  }
  using pidfd = openProcess(init);
  if (pidfd === undefined) throw wrongStatus(directory.id, wording.startStopped);
  // The lock is free again while the program gets ready, which may take its time.
  const socket = await startUnderLock(runtime, directory, { prepare: () => bindNotifySocket(directory) });
  if (socket !== undefined) await relayReadiness({ socket, host, mainPid: init.pid, pidfd }, runtime.log);
}

/** `prepare` runs when the container is known to be startable; its socket is answered, or closed on failure. */
async function startUnderLock(
  runtime: Runtime,
  directory: StateDirectory,
  { prepare, leave }: Pick<LeaveOptions, 'leave'> & { readonly prepare?: () => OwnedFd },
): Promise<OwnedFd | undefined> {
  using lock = await directory.lock();
  const record = directory.readRecord();
  const init = requireCreated(directory, record);
  const config = readSavedConfig(directory, runtime.caller.loadConfig);
  if (config.process === undefined) throw new TsrunError('status', `${wording.noProcess}: there is nothing to start`);
  runtime.caller.review?.(config, 'start');
  const descriptors = descriptorNumbers(record.preserveFds);
  // What can fail does so before init has anybody whose end would be its own.
  const seccomp = await compileFor(runtime, config);
  using pidfd = openProcess(init);
  if (pidfd === undefined) throw wrongStatus(directory.id, wording.startStopped);
  const isAlone = prepare === undefined && isToldOnce(config) && meaningOfSilence(seccomp) === 'success';
  const planLast = (): Program => planToRun(descriptors, programOf(record, config), seccomp);
  if (isAlone && (await tellByCaller(runtime, directory, { record, planLast, syncFd: descriptors.sync, seccomp })))
    return undefined;
  const prepared = prepare?.();
  try {
    const waiting = { socketPath: directory.file(INIT_SOCKET), token: record.startToken };
    const partner = await acceptedInit(waiting, { pid: init.pid, pidfd });
    using conversation = new Conversation(partner.socket, { arch: readArch(), syncFd: descriptors.sync });
    await runStartContainer(runtime, conversation, { record, config, seccomp });
    // From the next message on the program may run and end, and a caller who reaps it takes the container apart while this waits.
    removeInitSocket(directory);
    await becomeProgram(conversation, {
      descriptors,
      program: programOf(record, config),
      seccomp,
      pid: partner.pid,
      state: stateOf(record, 'created'),
      ...(leave !== undefined &&
        endsWithItsProgram(config) && {
          leave: (program) => {
            leaveWith(conversation, program, leave, lock);
          },
        }),
    });
    await runPoststart(runtime, record, config);
    return prepared;
  } catch (error) {
    prepared?.close();
    const isHook = error instanceof TsrunError && error.code === 'hook';
    // Init has ended with the conversation: there is nothing left that could be started once more.
    if (isHook || currentInterruption()?.aborted === true) await destroy(runtime, directory, record);
    throw error;
  }
}

/** What init is told in the end; planned where somebody else than this process tells it. */
interface LastTold {
  readonly record: ContainerRecord;
  readonly planLast: () => Program;
  readonly syncFd: number;
  readonly seccomp: SeccompPlan | undefined;
}

/** False where this process has to do it. Errors: those of the last program; `status`. */
async function tellByCaller(
  { caller }: Runtime,
  directory: StateDirectory,
  { record, planLast, syncFd, seccomp }: LastTold,
): Promise<boolean> {
  if (caller.tellInit === undefined) return false;
  const program = planLast();
  const packet = lastPacket(program, { arch: readArch(), syncFd });
  if (packet === undefined) return false;
  using handle = openFile(directory.file(), O_PATH | O_DIRECTORY);
  const init = { directory: handle.number, socketName: INIT_SOCKET, token: record.startToken };
  const told = await caller.tellInit(init, packet.bytes);
  const unfit = answerOfTold(program, packet, told);
  if (unfit === undefined) return true;
  const { sayUnfit } = await import('./build/say-unfit.ts');
  const options = { syncFd, executable: record.executable ?? '', seccomp };
  await sayUnfit(new ToldInit(told, { arch: readArch(), syncFd }), unfit, options);
  return true;
}

/** What this process, when it was another image, was not there to hear. It holds the lock still. */
async function explainEnd(runtime: Runtime, directory: StateDirectory, answer: number): Promise<void> {
  using connection = new OwnedFd(answer);
  const record = directory.readRecord();
  const config = readSavedConfig(directory, runtime.caller.loadConfig);
  const descriptors = descriptorNumbers(record.preserveFds);
  const seccomp = await compileFor(runtime, config);
  using conversation = new Conversation(connection, { arch: readArch(), syncFd: descriptors.sync });
  const unfit = conversation.explainEnd(planToRun(descriptors, programOf(record, config), seccomp));
  const { executable = '' } = record;
  const { sayUnfit } = await import('./build/say-unfit.ts');
  await sayUnfit(conversation, unfit, { syncFd: descriptors.sync, executable, seccomp });
}

/** runtime.md, "Lifecycle": a hook of start that fails ends the container, which is destroyed then, poststop hooks included. */
async function destroy(runtime: Runtime, directory: StateDirectory, record: ContainerRecord): Promise<void> {
  const cleanup = new Cleanup(runtime.log);
  cleanup.add('destroy the container', () => destroyContainer(directory, record, { kill: true, runtime }));
  await cleanup.run();
}

/** The last program of a container's init, from what was found when it was created. */
function programOf(record: ContainerRecord, config: Config): ProgramToRun {
  return {
    process: config.process ?? { cwd: '/' },
    executable: record.executable ?? '',
    home: record.home ?? '/',
    environment: record.environment ?? [],
  };
}

/** The filter again: create has compiled it, so that it is in the cache. */
async function compileFor(runtime: Runtime, config: Config): Promise<CompiledSeccomp | undefined> {
  if (config.linux?.seccomp === undefined) return undefined;
  return await compileSeccomp(config, config.process, hostFactsOf(runtime.caller), { runtime, isCached: true });
}

function requireCreated(directory: StateDirectory, record: ContainerRecord): ProcessIdentity {
  const status = currentStatus(directory, record);
  switch (status) {
    case 'created':
      if (record.init !== undefined) return record.init;
      throw wrongStatus(directory.id, wording.startStopped);
    case 'stopped':
      throw wrongStatus(directory.id, wording.startStopped);
    case 'running':
      throw wrongStatus(directory.id, wording.startRunning);
    case 'creating':
    case 'paused':
      throw wrongStatus(directory.id, wording.startInState(status));
  }
}
