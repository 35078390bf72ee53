import { closeSync, constants, openSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { hasErrno } from '../../sys/errno.ts';
import { readDescriptorInfo } from '../../sys/descriptor-info.ts';
import { descriptorPath } from '../../sys/fd.ts';
import { unmountAt } from '../../sys/mount.ts';

/** Directories of tsrun are two deep; what is deeper is not tsrun's, and each level holds a descriptor. */
const DEPTH_MAX = 16;
/** Somebody may add files meanwhile, such as one who waits for the lock. */
const PASSES_MAX = 8;

/**
 * Removes everything in an open directory. Each name is looked up in the directory itself and no symlink is followed, so that what is
 * exchanged meanwhile leads nowhere else. What is mounted there is unmounted and stays as it is: it is somebody else's.
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
    for (const name of names) if (name !== last) removeEntry(fd, name, depth);
    if (last !== undefined && names.includes(last)) removeEntry(fd, last, depth);
  }
  throw Object.assign(new Error('it fills again'), { code: 'ENOTEMPTY' });
}

function removeEntry(directory: number, name: string, depth: number): void {
  const entry = `${descriptorPath(directory)}/${name}`;
  try {
    unlinkSync(entry);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return;
    // EPERM: what POSIX has for directories, and some file systems.
    // EBUSY: a mount point, such as that of a file.
    if (!hasErrno(error, 'EISDIR', 'EPERM', 'EBUSY') || depth >= DEPTH_MAX) throw error;
    removeSubdirectory(directory, entry, depth + 1);
  }
}

/** One that is not there any more, or no directory, is looked at again in the next pass. */
function removeSubdirectory(directory: number, entry: string, depth: number): void {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  try {
    const fd = openSync(entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      if (readDescriptorInfo(fd, 'mnt_id') !== readDescriptorInfo(directory, 'mnt_id')) {
        unmountAt(entry);
        return;
      }
      emptyDirectory(fd, { depth });
    } finally {
      closeSync(fd);
    }
    rmdirSync(entry);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENOTEMPTY')) throw error;
  }
}
