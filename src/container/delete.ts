import { openCgroup } from '../cgroup/select.ts';
import { TsrunError } from '../errors.ts';
import type { Config } from '../spec/generated/config.ts';
import { specVersionMax } from '../spec/versions.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { killAndWait } from './end-process.ts';
import { runHooks } from './hooks.ts';
import type { DeleteOptions, Runtime } from './runtime.ts';
import { StateDirectory, type ContainerRecord } from './state-store.ts';
import { currentStatus } from './status.ts';

const SIGKILL = 9;
const DELETE_TIMEOUT_MS = 60_000;
/** A creator that hangs in a hook does not keep its container from being removed. */
const FORCE_TIMEOUT_MS = 5_000;

/**
 * Removes what create made (runtime.md, "Delete"): processes, cgroup, state directory; then the poststop hooks run.
 *
 * A created container is ended first, as every caller expects of its runtime. `force` also ends a running one, removes a state
 * directory that a killed tsrun left half-made, and finds nothing wrong with a container that does not exist.
 * Errors: `not-found`, `status`, `cgroup`, `state`. A poststop hook that fails is a warning.
 */
export async function deleteContainer(runtime: Runtime, { id, force }: DeleteOptions): Promise<void> {
  const directory = new StateDirectory(runtime.root, id);
  const record = readRecord(directory, force);
  if (record === undefined) {
    if (force) directory.remove();
    return;
  }
  const status = currentStatus(directory, record);
  if (!force && status !== 'stopped' && status !== 'created') {
    throw new TsrunError('status', `cannot delete container ${id} that is not stopped: ${status}`);
  }
  // Without its init a creator at work fails and cleans up. It is not killed itself: it may be a server with other containers.
  if (status === 'creating' && record.init !== undefined) await killAndWait(record.init);
  using lock = await takeLock(directory, force);
  if (lock === undefined && !force) {
    throw new TsrunError('status', `container ${JSON.stringify(id)} is busy with another operation`);
  }
  const current = readRecord(directory, force);
  if (current === undefined) {
    directory.remove();
    return;
  }
  // Without a pid namespace of its own the end of init leaves its other processes running.
  const kill = force || status === 'created' || !current.hasPidNamespace;
  await endProcesses(current, kill);
  const config = readHooks(directory);
  await openCgroup(current.cgroup).remove({ kill });
  directory.remove();
  await runPoststop(runtime, directory, current, config);
}

function readRecord(directory: StateDirectory, force: boolean): ContainerRecord | undefined {
  try {
    return directory.readRecord();
  } catch (error) {
    if (!(error instanceof TsrunError) || !force) throw error;
    if (error.code === 'not-found') return undefined;
    throw error;
  }
}

async function takeLock(directory: StateDirectory, force: boolean): Promise<OwnedFd | undefined> {
  try {
    return await directory.tryLock(force ? FORCE_TIMEOUT_MS : DELETE_TIMEOUT_MS);
  } catch (error) {
    // Its creator may have removed it while we waited.
    if (force && error instanceof TsrunError && error.code === 'not-found') return undefined;
    throw error;
  }
}

async function endProcesses(record: ContainerRecord, kill: boolean): Promise<void> {
  const cgroup = openCgroup(record.cgroup);
  if (kill) await cgroup.killAll(SIGKILL);
  if (record.init !== undefined) await killAndWait(record.init);
}

/** A container whose creation was cut short may have no config yet; then there are no hooks to run. */
function readHooks(directory: StateDirectory): Config | undefined {
  try {
    return directory.readConfigWithHooks('poststop');
  } catch (error) {
    if (error instanceof TsrunError) return undefined;
    throw error;
  }
}

async function runPoststop(
  runtime: Runtime,
  directory: StateDirectory,
  record: ContainerRecord,
  config: Config | undefined,
): Promise<void> {
  const hooks = config?.hooks?.poststop ?? [];
  const state = {
    ociVersion: specVersionMax,
    id: directory.id,
    pid: 0,
    status: 'stopped' as const,
    bundle: record.bundle,
    ...(record.annotations === undefined ? {} : { annotations: { ...record.annotations } }),
  };
  for (const hook of hooks) {
    try {
      await runHooks('poststop', [hook], state, runtime.log);
    } catch (error) {
      runtime.log.warning(error instanceof Error ? error.message : String(error));
    }
  }
}
