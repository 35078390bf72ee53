import { closeSync, constants, openSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { hasErrno } from '../../sys/errno.ts';
import { descriptorPath } from '../../sys/fd.ts';

/** Directories of tsrun are two deep; what is deeper is not tsrun's, and each level holds a descriptor. */
const DEPTH_MAX = 16;
/** Somebody may add files meanwhile, such as one who waits for the lock. */
const PASSES_MAX = 8;

/**
 * Removes everything in an open directory. Each name is looked up in the directory itself and no symlink is followed, so that what is
 * exchanged meanwhile leads nowhere else.
 *
 * `last` is removed after everything else. Errors: those of unlink(2) and rmdir(2) as Node has them; ENOTEMPTY when it fills again.
 */
export function emptyDirectory(
  fd: number,
  { last, depth = 0 }: { readonly last?: string; readonly depth?: number } = {},
): void {
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    const names = readdirSync(descriptorPath(fd));
    if (names.length === 0) return;
    for (const name of names) if (name !== last) removeEntry(`${descriptorPath(fd)}/${name}`, depth);
    if (last !== undefined && names.includes(last)) removeEntry(`${descriptorPath(fd)}/${last}`, depth);
  }
  throw Object.assign(new Error('it fills again'), { code: 'ENOTEMPTY' });
}

function removeEntry(entry: string, depth: number): void {
  try {
    unlinkSync(entry);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return;
    // EPERM: what POSIX has for directories, and some file systems.
    if (!hasErrno(error, 'EISDIR', 'EPERM') || depth >= DEPTH_MAX) throw error;
    removeSubdirectory(entry, depth + 1);
  }
}

/** One that is not there any more, or no directory, is looked at again in the next pass. */
function removeSubdirectory(entry: string, depth: number): void {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  try {
    const fd = openSync(entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      emptyDirectory(fd, { depth });
    } finally {
      closeSync(fd);
    }
    rmdirSync(entry);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENOTEMPTY')) throw error;
  }
}
