import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { realPath } from '../../host/real-path.ts';
import { LAYER_NAMES, lowerName, type OverlayLayers } from '../../plan/base/layers.ts';
import type { IdMapPlan } from '../../plan/namespaces/id-maps.ts';
import { hasErrno } from '../../sys/errno.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { O_DIRECTORY, O_NOFOLLOW } from '../../sys/open-flags.ts';
import { O_RDONLY } from '../../util/constants.ts';
import type { StateDirectory } from '../store/directory.ts';
import { emptyLayer, keepMaps } from './owners.ts';

/**
 * Makes the directories of a layer for a container that has its state directory, or takes them over: one that is kept with what is in it,
 * another, which somebody has left behind, without. `maps`: of `planOwners`. Errors: `exists` while another container has it; `host`.
 */
export async function makeLayer(layers: OverlayLayers, container: StateDirectory, maps?: IdMapPlan): Promise<void> {
  const { directory, isKept } = layers;
  try {
    if (!isKept) mkdirSync(path.dirname(directory), { recursive: true, mode: 0o700 });
    makeDirectory(directory, 0o700);
    using layer = openFile(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    claim(layer, directory, placeOf(container));
    if (!isKept) await emptyLayer(layer, directory);
    if (!isKept && maps !== undefined) keepMaps(layer, maps);
    fill(layer, layers);
  } catch (error) {
    if (error instanceof TsrunError && error.code === 'exists') throw error;
    throw failure('host', `make the layer ${JSON.stringify(directory)}`, error);
  }
}

/** The place of a state directory by its real path: what a layer says of whose it is. */
function placeOf({ path: directory, id }: StateDirectory): string {
  return path.join(realPlace(path.dirname(directory)), id);
}

/** As far as it is there: the root of all state directories goes with each start of the machine, and layers stay. */
function realPlace(hostPath: string): string {
  try {
    return realPath(hostPath);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
    return path.join(realPlace(path.dirname(hostPath)), path.basename(hostPath));
  }
}

/** The link is made or there: whoever has made it has the layer as long as its state directory is there. */
function claim(layer: OwnedFd, shown: string, place: string): void {
  const link = at(layer, LAYER_NAMES.owner);
  const other = readOwner(layer);
  if (other !== undefined && other !== place && existsSync(other)) throw isTaken(shown, other);
  if (other === place) return;
  if (other !== undefined) unlinkSync(link);
  try {
    symlinkSync(place, link);
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) throw isTaken(shown, readOwner(layer) ?? '');
    throw error;
  }
}

function isTaken(layer: string, owner: string): TsrunError {
  return new TsrunError(
    'exists',
    `use the layer ${JSON.stringify(layer)}: it is that of the container in ${JSON.stringify(owner)}`,
  );
}

/** Undefined where nobody has it. */
function readOwner(layer: OwnedFd): string | undefined {
  try {
    return readlinkSync(at(layer, LAYER_NAMES.owner));
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function fill(layer: OwnedFd, { lowers }: OverlayLayers): void {
  removeLinks(layer);
  lowers.forEach((lower, index) => {
    symlinkSync(lower, at(layer, lowerName(index)));
  });
  const upper = at(layer, LAYER_NAMES.upper);
  // The root of the container is the upper directory: it looks as what it lies over.
  if (makeDirectory(upper, 0o755)) imitate(lowers[0] ?? '/', upper);
  makeDirectory(at(layer, LAYER_NAMES.work), 0o700);
  for (const name of [LAYER_NAMES.upper, LAYER_NAMES.work])
    openFile(at(layer, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW).close();
}

/** The owner as well, for whoever may give files away. */
function imitate(lower: string, upper: string): void {
  const { uid, gid, mode } = statSync(lower);
  try {
    chownSync(upper, uid, gid);
  } catch (error) {
    if (!hasErrno(error, 'EPERM', 'EINVAL')) throw error;
  }
  chmodSync(upper, mode & 0o7777);
}

/** The names of lower directories are short; a directory that is kept may have had files of such names before. */
function removeLinks(layer: OwnedFd): void {
  for (const entry of readdirSync(descriptorPath(layer.number), { withFileTypes: true }))
    if (entry.isSymbolicLink() && /^[0-9a-z]{1,2}$/.test(entry.name)) unlinkSync(at(layer, entry.name));
}

/** Whether there was none. */
function makeDirectory(hostPath: string, mode: number): boolean {
  try {
    mkdirSync(hostPath, { mode });
    return true;
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) return false;
    throw error;
  }
}

/**
 * Removes the layer of a container whose processes are gone, or lets go of one that is kept. One that is not there, or that another
 * container has by now, is fine. Errors: `state`.
 */
export async function removeLayer(
  { directory, isKept }: Pick<OverlayLayers, 'directory' | 'isKept'>,
  container: StateDirectory,
): Promise<void> {
  try {
    using layer = openFile(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const owner = readOwner(layer);
    if (owner !== undefined && owner !== placeOf(container)) return;
    if (isKept) removeLinks(layer);
    // The link goes last: as long as it is there, whoever finds the rest knows whose it was.
    else await emptyLayer(layer, directory);
    if (owner !== undefined) unlinkSync(at(layer, LAYER_NAMES.owner));
    if (!isKept) rmdirSync(directory);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return;
    throw failure('state', `remove the layer ${JSON.stringify(directory)}`, error);
  }
}

/** What is wrong somewhere in the layer is said where it is known. */
function failure(code: 'host' | 'state', action: string, error: unknown): TsrunError {
  if (!(error instanceof TsrunError)) return TsrunError.of(code, action, error);
  const { errno } = error;
  return new TsrunError(code, `${action}: ${error.message}`, { cause: error, ...(errno !== undefined && { errno }) });
}

function at({ number }: OwnedFd, name: string): string {
  return `${descriptorPath(number)}/${name}`;
}
