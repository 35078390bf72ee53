import { rmSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import { readArch } from '../host/facts.ts';
import { descriptorNumbers } from '../plan/context.ts';
import { planRunProgram } from '../plan/run-program.ts';
import { Conversation } from '../process/conversation.ts';
import type { Config } from '../spec/generated/config.ts';
import type { Program } from '../program/step.ts';
import { specVersionMax } from '../spec/versions.ts';
import { hasErrno } from '../sys/errno.ts';
import { openFile } from '../sys/file.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { connectUnix } from '../sys/socket.ts';
import { O_DIRECTORY, O_PATH } from '../util/constants.ts';
import { killAndWait } from './end-process.ts';
import { runHooks } from './hooks.ts';
import { bindNotifySocket, relayReadiness } from './notify-socket.ts';
import { openProcess } from './process-identity.ts';
import type { Runtime, StartOptions } from './runtime.ts';
import { INIT_SOCKET, StateDirectory, type ContainerRecord } from './state-store.ts';
import { currentStatus } from './status.ts';

/**
 * Has init become the container's program (runtime.md, "Start").
 *
 * Returns when the program runs; with a service manager to notify, when the program is ready or has ended. Errors: `not-found`, `status` unless the container is created, `program` when it cannot be
 * executed (init has ended then), `hook` for poststart hooks (the program has been killed then).
 */
export async function startContainer(runtime: Runtime, id: string, options: StartOptions = {}): Promise<void> {
  const directory = new StateDirectory(runtime.root, id);
  const { init, notifies } = directory.readRecord();
  const host = options.notifySocket;
  if (host !== undefined && notifies !== true)
    runtime.log.warning('nobody will be notified: the container was created without a notify socket');
  if (host === undefined || notifies !== true || init === undefined) {
    await becomeProgram(runtime, directory);
    return;
  }
  using pidfd = openProcess(init);
  if (pidfd === undefined) throw new TsrunError('status', 'cannot start a container that has stopped');
  // The lock is free again while the program gets ready, which may take its time.
  const socket = await becomeProgram(runtime, directory, () => bindNotifySocket(directory));
  if (socket !== undefined) await relayReadiness({ socket, host, mainPid: init.pid, pidfd }, runtime.log);
}

/** `prepare` runs when the container is known to be startable; its socket is answered, or closed on failure. */
async function becomeProgram(
  runtime: Runtime,
  directory: StateDirectory,
  prepare?: () => OwnedFd,
): Promise<OwnedFd | undefined> {
  using _lock = await directory.lock();
  const record = directory.readRecord();
  requireCreated(directory, record);
  const config = directory.readConfig();
  if (config.process === undefined)
    throw new TsrunError('status', 'process property must not be empty: there is nothing to start');
  const descriptors = descriptorNumbers(record.preserveFds);
  using conversation = new Conversation(connect(directory), { arch: readArch(), syncFd: descriptors.sync });
  const prepared = prepare?.();
  try {
    await conversation.runToEnd(programOf(record, config));
    rmSync(directory.file(INIT_SOCKET), { force: true });
    await runPoststart(runtime, directory, record, config);
    return prepared;
  } catch (error) {
    prepared?.close();
    throw error;
  }
}

/** The last program of a container's init, from what was found when it was created. */
export function programOf(record: ContainerRecord, config: Config): Program {
  return planRunProgram(descriptorNumbers(record.preserveFds), {
    process: config.process ?? { cwd: '/' },
    executable: record.executable ?? '',
    home: record.home ?? '/',
    environment: record.environment ?? [],
  });
}

/** config.md, "Poststart": a failure stops the container. */
export async function runPoststart(
  runtime: Runtime,
  directory: StateDirectory,
  record: ContainerRecord,
  config: Config,
): Promise<void> {
  const hooks = config.hooks?.poststart ?? [];
  if (hooks.length === 0) return;
  const state = {
    ociVersion: specVersionMax,
    id: directory.id,
    pid: record.init?.pid ?? 0,
    status: 'running' as const,
    bundle: record.bundle,
    ...(record.annotations === undefined ? {} : { annotations: { ...record.annotations } }),
  };
  try {
    await runHooks('poststart', hooks, state, runtime.log);
  } catch (error) {
    if (record.init !== undefined) await killAndWait(record.init);
    throw error;
  }
}

function requireCreated(directory: StateDirectory, record: ContainerRecord): void {
  const status = currentStatus(directory, record);
  switch (status) {
    case 'created':
      return;
    case 'stopped':
      throw new TsrunError('status', 'cannot start a container that has stopped');
    case 'running':
      throw new TsrunError('status', 'cannot start an already running container');
    case 'creating':
    case 'paused':
      throw new TsrunError('status', `cannot start a container in the ${status} state`);
  }
}

function connect(directory: StateDirectory): OwnedFd {
  using handle = openFile(directory.path, O_PATH | O_DIRECTORY);
  try {
    return connectUnix(`/proc/self/fd/${handle.number}/${INIT_SOCKET}`, 'seqpacket');
  } catch (error) {
    if (hasErrno(error, 'ECONNREFUSED', 'ENOENT'))
      throw new TsrunError('status', 'cannot start a container that has stopped');
    throw error;
  }
}
