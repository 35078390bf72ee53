import { rmSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import { readArch, readHostFacts } from '../host/facts.ts';
import { descriptorNumbers } from '../plan/context.ts';
import type { ProgramToRun } from '../plan/run-program.ts';
import type { CompiledSeccomp } from '../plan/seccomp/load.ts';
import { Conversation } from '../process/conversation.ts';
import type { Config } from '../spec/generated/config.ts';
import { specVersionMax } from '../spec/versions.ts';
import { hasErrno } from '../sys/errno.ts';
import { openFile } from '../sys/file.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { connectUnix } from '../sys/socket.ts';
import { O_DIRECTORY, O_PATH } from '../util/constants.ts';
import { killAndWait } from './end-process.ts';
import { runHooks } from './hooks.ts';
import type { Runtime } from './runtime.ts';
import { becomeProgram, compileSeccomp, stateOf } from './seccomp.ts';
import { INIT_SOCKET, StateDirectory, type ContainerRecord } from './state-store.ts';
import { currentStatus } from './status.ts';

/**
 * Has init become the container's program (runtime.md, "Start").
 *
 * Returns when the program runs. Errors: `not-found`, `status` unless the container is created, `program` when it cannot be
 * executed (init has ended then), `hook` for poststart hooks (the program has been killed then).
 */
export async function startContainer(runtime: Runtime, id: string): Promise<void> {
  const directory = new StateDirectory(runtime.root, id);
  directory.readRecord();
  using _lock = await directory.lock();
  const record = directory.readRecord();
  requireCreated(directory, record);
  const config = directory.readConfig();
  if (config.process === undefined)
    throw new TsrunError('status', 'process property must not be empty: there is nothing to start');
  const descriptors = descriptorNumbers(record.preserveFds);
  using conversation = new Conversation(connect(directory), { arch: readArch(), syncFd: descriptors.sync });
  await becomeProgram(conversation, {
    descriptors,
    program: programOf(record, config),
    seccomp: await compileFor(runtime, config),
    pid: record.init?.pid ?? 0,
    state: stateOf(record, 'created'),
  });
  rmSync(directory.file(INIT_SOCKET), { force: true });
  await runPoststart(runtime, directory, record, config);
}

/** The last program of a container's init, from what was found when it was created. */
function programOf(record: ContainerRecord, config: Config): ProgramToRun {
  return {
    process: config.process ?? { cwd: '/' },
    executable: record.executable ?? '',
    home: record.home ?? '/',
  };
}

/** The filter again: create has compiled it, so that it is in the cache. */
async function compileFor(runtime: Runtime, config: Config): Promise<CompiledSeccomp | undefined> {
  if (config.linux?.seccomp === undefined) return undefined;
  return await compileSeccomp(config, config.process, readHostFacts(), { runtime, isCached: true });
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
