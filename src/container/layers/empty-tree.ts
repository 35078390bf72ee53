import { chmodSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { nextTurn } from '../../process/turns.ts';
import { hasErrno } from '../../sys/errno.ts';
import {
  lookAtEntry,
  moveEntry,
  openDirectoryBelow,
  readEntries,
  removeEntry,
  type EntryName,
} from '../../sys/entries.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { O_PATH, O_RDONLY } from '../../util/constants.ts';

/**
 * Removes everything in a directory, however deep it is and however many there are, but for some names.
 *
 * What is in it a container has made. Every name is looked up in the directory that it is in, and no symlink is followed. Directories in
 * directories are moved up first, so that two are open at a time. Nothing that is mounted there is entered. Errors: `host`; EBUSY for a mount.
 */
export async function emptyTree(root: OwnedFd, { but }: { readonly but: readonly string[] }): Promise<void> {
  const kept = but.map((name) => Buffer.from(name));
  let moved = 0;
  const moveUp = (directory: OwnedFd, name: EntryName): void => {
    for (;;) {
      try {
        moveEntry(directory, name, root, Buffer.from(`moved-${(moved += 1)}`));
        return;
      } catch (error) {
        // Somebody has a file, or a directory that is not empty, of this name.
        if (!hasErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR')) throw error;
      }
    }
  };
  for (let names = namesIn(root, kept); names.length > 0; names = namesIn(root, kept)) {
    for (const name of names) {
      if (removePlain(root, name)) continue;
      using directory = openForRemoval(root, name);
      for (let inside = namesIn(directory); inside.length > 0; inside = namesIn(directory)) {
        for (const entry of inside) {
          if (removePlain(directory, entry)) continue;
          // Its entry "..", too, is changed by the move.
          openForRemoval(directory, entry).close();
          moveUp(directory, entry);
        }
        await nextTurn();
      }
      removeEntry(root, name, { isDirectory: true });
    }
    await nextTurn();
  }
}

/** The first names, from the beginning again: what was read before is removed. */
function namesIn(directory: OwnedFd, but: readonly EntryName[] = []): EntryName[] {
  using reading = openDirectoryBelow(directory, [], O_RDONLY);
  for (let names = readEntries(reading); names.length > 0; names = readEntries(reading)) {
    const others = names.filter((name) => !but.some((kept) => name.equals(kept)));
    if (others.length > 0) return others;
  }
  return [];
}

/** False for a directory that is not empty. */
function removePlain(directory: OwnedFd, name: EntryName): boolean {
  const entry = lookAtEntry(directory, name);
  if (entry === undefined) return true;
  try {
    removeEntry(directory, name, { isDirectory: entry.isDirectory });
    return true;
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return true;
    if (entry.isDirectory && hasErrno(error, 'ENOTEMPTY', 'EEXIST')) return false;
    throw hasErrno(error, 'EBUSY') ? isMounted(name, error) : error;
  }
}

/** Its mode may keep even its owner out, as that of the kernel's own directory does. */
function openForRemoval(parent: OwnedFd, name: EntryName): OwnedFd {
  try {
    using handle = openDirectoryBelow(parent, [name], O_PATH);
    chmodSync(descriptorPath(handle.number), 0o700);
    return openDirectoryBelow(handle, [], O_RDONLY);
  } catch (error) {
    throw hasErrno(error, 'EXDEV') ? isMounted(name, error) : error;
  }
}

function isMounted(name: EntryName, cause: unknown): TsrunError {
  const problem = `remove ${JSON.stringify(name.toString())}: something is mounted there, unmount that first`;
  return new TsrunError('host', problem, { errno: 'EBUSY', cause });
}
