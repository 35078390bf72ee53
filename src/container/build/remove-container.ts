import { existsSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { nextTurn, takePart } from '../../process/turns.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import type { ExitStatus } from '../../sys/process/wait.ts';
import { wording } from '../../util/wording.ts';
import type { Runtime } from '../caller/caller.ts';
import { StateDirectory } from '../store/directory.ts';
import { keepEnd } from '../store/ended.ts';
import type { DeleteOptions } from '../store/options.ts';
import type { ContainerRecord } from '../store/record.ts';
import { currentStatus, type Status } from '../store/status.ts';
import { destroyContainer } from './destroy.ts';
import { endProcess } from './end-process.ts';
import { layerPlace } from '../layers/place.ts';
import { remedies } from '../../util/remedies.ts';

const DELETE_TIMEOUT_MS = 60_000;
/** A creator that hangs in a hook does not keep its container from being removed. */
const FORCE_TIMEOUT_MS = 5_000;

/**
 * Removes one container, as `deleteContainer` does, and as `run` does with its own. Errors: `not-found`, `status`, `cgroup`, `state`.
 */
export async function removeContainer(
  runtime: Runtime,
  { id, force, strict = false }: Omit<DeleteOptions, 'isPattern'>,
): Promise<void> {
  using _part = takePart();
  await nextTurn();
  using directory = new StateDirectory(runtime.root, id);
  const record = readRecord(directory, force);
  if (typeof record === 'string') {
    await removeUnknown(runtime, directory, record === 'damaged');
    return;
  }
  const status = currentStatus(directory, record);
  const mayDelete = (found: Status): boolean => force || found === 'stopped' || (found === 'created' && !strict);
  if (!mayDelete(status)) throw mayNotDelete(id, status);
  // Without its init a creator at work fails and cleans up. It is not killed itself: it may be a server with other containers.
  if (status === 'creating' && record.init !== undefined) await endProcess(record.init);
  using lock = await takeLock(directory, force);
  if (lock === undefined && !force) {
    throw new TsrunError('status', `container ${JSON.stringify(id)} is busy with another operation`);
  }
  const current = readRecord(directory, force);
  if (typeof current === 'string') {
    await removeUnknown(runtime, directory, current === 'damaged');
    return;
  }
  // Somebody may have started it while this waited for the lock.
  const found = currentStatus(directory, current);
  if (!mayDelete(found)) throw mayNotDelete(id, found);
  // Without a pid namespace of its own the end of init leaves its other processes running; one that was paused does not die.
  const kill = force || found === 'created' || !current.hasPidNamespace;
  await destroyContainer(directory, current, { kill, runtime });
}

/** For the one who has waited for the end of a container's program: removes it, or keeps how it ended. Errors: those of `removeEnded`. */
export async function settleEnded(
  runtime: Runtime,
  { directory, record }: { readonly directory: StateDirectory; readonly record: ContainerRecord },
  { status, keep }: { readonly status: ExitStatus; readonly keep: boolean },
): Promise<void> {
  if (!keep) await removeEnded(runtime, directory);
  else if (record.init !== undefined) keepEnd(directory, record.init, status);
}

/**
 * Removes a container whose program has ended, for the one who has waited for that: by the directory that it was made in, whoever has the
 * name by now. One that is gone is fine. Errors: `status`, `cgroup`, `state`.
 */
async function removeEnded(runtime: Runtime, directory: StateDirectory): Promise<void> {
  using _part = takePart();
  await nextTurn();
  using _lock = await takeLock(directory, true);
  const record = readRecord(directory, true);
  if (typeof record === 'string') await removeUnknown(runtime, directory, record === 'damaged');
  else await destroyContainer(directory, record, { kill: true, runtime });
}

/** Without a record a layer is found by its place: that of a container from before the machine was started, or whose record is damaged. */
async function removeUnknown(runtime: Runtime, directory: StateDirectory, isDamaged: boolean): Promise<void> {
  if (isDamaged) {
    const { endDamaged } = await import('./end-damaged.ts');
    await endDamaged(runtime, directory);
  }
  const layer = { directory: layerPlace(runtime, directory.id), isKept: false };
  if (existsSync(layer.directory)) {
    const { removeLayer } = await import('../layers/layer.ts');
    await removeLayer(layer, directory);
  }
  directory.remove();
}

/** Where there is no record, or one that nobody can go by, that. Errors: without `force` those of `StateDirectory.readRecord`. */
function readRecord(directory: StateDirectory, force: boolean): ContainerRecord | 'missing' | 'damaged' {
  try {
    return directory.readRecord();
  } catch (error) {
    if (!(error instanceof TsrunError) || !force) throw error;
    if (error.code === 'not-found') return 'missing';
    if (error.code !== 'state') throw error;
    return 'damaged';
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

function mayNotDelete(id: string, status: Status): TsrunError {
  return new TsrunError('status', wording.deleteNotStopped(id, status), { hint: remedies.running(id) });
}
