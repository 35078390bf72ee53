import { TsrunError } from '../errors.ts';
import { LAYER_NAMES, opaqueAttribute } from '../plan/base/layers.ts';
import { nextTurn, takePart } from '../process/turns.ts';
import { hasErrno } from '../sys/errno.ts';
import { lookAtEntry, openDirectoryBelow, readAttribute, readEntries, type EntryName } from '../sys/entries.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { O_DIRECTORY, O_NOFOLLOW } from '../sys/open-flags.ts';
import { O_RDONLY } from '../util/constants.ts';
import { StateDirectory } from './store/directory.ts';
import type { LayerChange, RuntimeOptions } from './store/options.ts';

/**
 * What a container has changed of the root file system that it began with, by path. A directory in which something has changed is changed
 * itself; what is in a directory that is deleted is not told apart.
 *
 * Of one that runs it is what is seen on the way. Errors: `not-found`; `unsupported` without a layer; `host`.
 */
export async function listChanges({ root }: RuntimeOptions, id: string): Promise<readonly LayerChange[]> {
  using _part = takePart();
  using directory = new StateDirectory(root, id);
  const { layer } = directory.readRecord();
  if (layer === undefined) {
    const shown = JSON.stringify(id);
    throw new TsrunError(
      'unsupported',
      `list the changes of container ${shown}: it was made without a layer, see "--overlay"`,
    );
  }
  const opened: OwnedFd[] = [];
  const open = (hostPath: string, flags = 0): OwnedFd => {
    const fd = openFile(hostPath, O_RDONLY | O_DIRECTORY | flags);
    opened.push(fd);
    return fd;
  };
  try {
    const upper = open(`${layer.directory}/${LAYER_NAMES.upper}`, O_NOFOLLOW);
    const lowers = layer.lowers.map((lower) => open(lower));
    const changes = await compare({ upper, lowers, opaque: opaqueAttribute(layer.marks) });
    return changes.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  } finally {
    for (const fd of opened) fd.close();
  }
}

/** Roots of the layers, the uppermost lower one first, and the attribute of directories that hide what lies below them. */
interface Layers {
  readonly upper: OwnedFd;
  readonly lowers: readonly OwnedFd[];
  readonly opaque: string;
}

/** A directory of the upper layer. */
interface Place {
  readonly names: readonly EntryName[];
  /** Which lower layers make up the directory of this name, by their number. */
  readonly lowers: readonly number[];
  /** It lies in one that hides what is below. */
  readonly isHiding: boolean;
}

async function compare(layers: Layers): Promise<LayerChange[]> {
  const changes: LayerChange[] = [];
  const places: Place[] = [{ names: [], lowers: [...layers.lowers.keys()], isHiding: false }];
  for (let place = places.pop(); place !== undefined; place = places.pop()) {
    using upper = openIfThere(layers.upper, place.names);
    if (upper !== undefined) places.push(...comparePlace(layers, { ...place, upper }, changes));
    await nextTurn();
  }
  return changes;
}

/** Adds to `changes`. Returns the directories in it. */
function comparePlace(
  layers: Layers,
  { names, lowers, upper, ...place }: Place & { readonly upper: OwnedFd },
  changes: LayerChange[],
): Place[] {
  const isHiding = place.isHiding || isOpaque(upper, layers.opaque);
  const directories: Place[] = [];
  const note = (kind: LayerChange['kind'], name: EntryName): void => {
    changes.push({ kind, path: `/${[...names, name].map((part) => part.toString()).join('/')}` });
  };
  const merged = openMerged(layers, names, lowers);
  try {
    for (let entries = readEntries(upper); entries.length > 0; entries = readEntries(upper)) {
      for (const name of entries) {
        const entry = lookAtEntry(upper, name);
        if (entry === undefined) continue;
        const below = lookBelow(merged, name, layers.opaque);
        if (entry.isWhiteout && below !== undefined) note('deleted', name);
        if (entry.isWhiteout) continue;
        note(below === undefined ? 'added' : 'changed', name);
        if (!entry.isDirectory) continue;
        directories.push({ names: [...names, name], lowers: below ?? [], isHiding });
      }
    }
    if (isHiding)
      for (const name of namesBelow(merged, layers.opaque))
        if (lookAtEntry(upper, name) === undefined) note('deleted', name);
    return directories;
  } finally {
    for (const { directory } of merged) directory.close();
  }
}

function isOpaque(directory: OwnedFd, attribute: string): boolean {
  return readAttribute(directory, attribute)?.toString() === 'y';
}

interface Lower {
  readonly number: number;
  readonly directory: OwnedFd;
}

function openMerged(layers: Layers, names: readonly EntryName[], numbers: readonly number[]): Lower[] {
  const opened: Lower[] = [];
  try {
    for (const number of numbers) {
      const root = layers.lowers[number];
      const directory = root && openIfThere(root, names);
      if (directory !== undefined) opened.push({ number, directory });
    }
    return opened;
  } catch (error) {
    for (const { directory } of opened) directory.close();
    throw error;
  }
}

/**
 * What the lower layers together have of a name: the numbers of those that make up the directory, none for what is none; undefined where it
 * is not there.
 */
function lookBelow(lowers: readonly Lower[], name: EntryName, opaque: string): number[] | undefined {
  const found: number[] = [];
  for (const { number, directory } of lowers) {
    const entry = lookAtEntry(directory, name);
    if (entry === undefined) continue;
    if (entry.isWhiteout) break;
    if (!entry.isDirectory) return found;
    found.push(number);
    using inside = openIfThere(directory, [name]);
    if (inside !== undefined && isOpaque(inside, opaque)) break;
  }
  return found.length === 0 ? undefined : found;
}

/** All names that the lower layers together have in a directory. */
function namesBelow(lowers: readonly Lower[], opaque: string): EntryName[] {
  const found = new Map<string, EntryName>();
  for (const { directory } of lowers)
    for (let names = readEntries(directory); names.length > 0; names = readEntries(directory))
      for (const name of names) found.set(name.toString('latin1'), name);
  return [...found.values()].filter((name) => lookBelow(lowers, name, opaque) !== undefined);
}

/** Undefined for what is gone or no directory by now, and for what somebody has mounted there, which is no part of a layer. */
function openIfThere(root: OwnedFd, names: readonly EntryName[]): OwnedFd | undefined {
  try {
    return openDirectoryBelow(root, names);
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV')) return undefined;
    throw error;
  }
}
