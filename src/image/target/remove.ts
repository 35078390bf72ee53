import { fstatSync, readdirSync } from 'node:fs';
import { chmodFile, openAt, removeDirectoryAt, renameAt, unlinkAt, type AtPath } from '../../sys/archive/at.ts';
import { hasErrno } from '../../sys/errno.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { O_DIRECTORY, O_NOFOLLOW } from '../../sys/open-flags.ts';
import { O_RDONLY } from '../../util/constants.ts';

/**
 * Removes what has a name in a directory, with all below it; nothing happens where there is none. `trash` is a directory of the same
 * file system in which nobody else has names.
 *
 * However deep it is, two directories are open: one is emptied by moving the directories in it to the trash, where they have their turn.
 */
export function removeTree(directory: OwnedFd, name: AtPath, trash: OwnedFd): void {
  try {
    unlinkAt(directory.number, name);
    return;
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return;
    if (!hasErrno(error, 'EISDIR', 'EPERM')) throw error;
  }
  let made = 0;
  let removed = 0;
  const discard = (fd: number, from: AtPath): void => {
    using opened = openAt(fd, from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    allowChanges(opened);
    renameAt({ fd, name: from }, { fd: trash.number, name: `${made}` });
    made += 1;
  };
  discard(directory.number, name);
  for (; removed < made; removed += 1) {
    {
      using opened = openAt(trash.number, `${removed}`, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      for (const entry of readdirSync(descriptorPath(opened.number), { withFileTypes: true, encoding: 'latin1' })) {
        if (entry.isDirectory()) discard(opened.number, entry.name);
        else unlinkAt(opened.number, entry.name);
      }
    }
    removeDirectoryAt(trash.number, `${removed}`);
  }
}

/** The names in a directory, one byte a character. */
export function namesIn(directory: OwnedFd): AtPath[] {
  return readdirSync(descriptorPath(directory.number), { encoding: 'latin1' });
}

/** An ordinary user may not move or empty a directory of his that has not the mode for it. */
function allowChanges(directory: OwnedFd): void {
  const { mode } = fstatSync(directory.number);
  if ((mode & 0o700) !== 0o700) chmodFile(directory.number, 0o700);
}
