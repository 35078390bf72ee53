import { AT_SYMLINK_NOFOLLOW, O_RDONLY, S_IFCHR, S_IFDIR, S_IFMT, STATX_BASIC_STATS } from '../util/constants.ts';
import { openBeneath, removeDirectoryAt, renameAt, unlinkAt } from './archive/at.ts';
import { checked, lastErrno } from './errno.ts';
import type { OwnedFd } from './fd.ts';
import { bindLibc } from './library.ts';
import { O_DIRECTORY, O_NOFOLLOW } from './open-flags.ts';

const getdents64 = bindLibc('long getdents64(int fd, void *entries, size_t size)');
const statxCall = bindLibc('int statx(int dirfd, const void *path, int flags, unsigned int mask, void *buffer)');
const getxattr = bindLibc('long fgetxattr(int fd, const void *name, void *value, size_t size)');

/** A directory may have any number of entries: this much of them is in memory at a time. */
const ENTRIES_BYTES = 32_768;
/** The longest path that a system call takes, with its NUL (include/uapi/linux/limits.h). */
const PATH_MAX = 4096;

/** Of u16 stx_mode, and of u32 stx_rdev_major and stx_rdev_minor behind it, in struct statx. */
const MODE_OFFSET = 28;
const RDEV_OFFSET = 128;

/** A name in a directory, which need not be UTF-8. Shape: its bytes, without a NUL. */
export type EntryName = Buffer;

/** What a name in a directory is. */
export interface Entry {
  readonly isDirectory: boolean;
  /** A character device with the number 0:0, as which overlayfs writes that there is nothing. */
  readonly isWhiteout: boolean;
}

/**
 * Names in a directory, open for reading, from where the descriptor stands: as many as fit in some kilobytes; none at the end. Errors:
 * `host`. Source: man 2 getdents.
 */
export function readEntries(directory: OwnedFd): EntryName[] {
  const buffer = Buffer.alloc(ENTRIES_BYTES);
  const length = checked(getdents64(directory.number, buffer, buffer.length), 'read a directory');
  const names: EntryName[] = [];
  // struct linux_dirent64: u64 inode, s64 offset, u16 length of the record, u8 type, name.
  for (let start = 0; start < length; start += buffer.readUInt16LE(start + 16)) {
    const name = buffer.subarray(start + 19, buffer.indexOf(0, start + 19));
    if (!name.equals(DOT) && !name.equals(DOTS)) names.push(name);
  }
  return names;
}

const DOT = Buffer.from('.');
const DOTS = Buffer.from('..');

/** What an entry is, a symlink itself; undefined when there is none. Errors: `host`. Source: man 2 statx. */
export function lookAtEntry(directory: OwnedFd, name: EntryName): Entry | undefined {
  const buffer = Buffer.alloc(256);
  const result = statxCall(directory.number, terminated(name), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, buffer);
  if (result < 0 && lastErrno() === 'ENOENT') return undefined;
  checked(result, `look at ${show(name)}`);
  const type = buffer.readUInt16LE(MODE_OFFSET) & S_IFMT;
  return {
    isDirectory: type === S_IFDIR,
    isWhiteout: type === S_IFCHR && buffer.readBigUInt64LE(RDEV_OFFSET) === 0n,
  };
}

/**
 * Removes an entry. Errors: `host`: EISDIR for a directory, unless `isDirectory` says that it is one, and ENOTEMPTY then. Source: man 2
 * unlinkat.
 */
export function removeEntry(directory: OwnedFd, name: EntryName, { isDirectory = false } = {}): void {
  (isDirectory ? removeDirectoryAt : unlinkAt)(directory.number, name.toString('latin1'));
}

/** Moves an entry to another directory of the same mount. Errors: `host`. Source: man 2 renameat. */
export function moveEntry(from: OwnedFd, name: EntryName, to: OwnedFd, newName: EntryName): void {
  renameAt({ fd: from.number, name: name.toString('latin1') }, { fd: to.number, name: newName.toString('latin1') });
}

/**
 * Opens a directory below another for reading: by names alone, no symlink, and nothing that is mounted there.
 *
 * However deep it lies, each lookup is of a path that a system call takes. `flags` are added. Errors: `host`: ELOOP or ENOTDIR for what is
 * no directory, EXDEV for a mount. Source: man 2 openat2.
 */
export function openDirectoryBelow(root: OwnedFd, names: readonly EntryName[], flags = O_RDONLY): OwnedFd {
  const paths = joinNames(names);
  let directory: OwnedFd | undefined;
  for (const path of paths) {
    const from = directory ?? root;
    try {
      const next = openBelow(from, path, flags);
      directory?.close();
      directory = next;
    } catch (error) {
      directory?.close();
      throw error;
    }
  }
  return directory ?? openBelow(root, DOT, flags);
}

function openBelow({ number }: OwnedFd, path: Buffer, access: number): OwnedFd {
  const flags = access | O_DIRECTORY | O_NOFOLLOW;
  return openBeneath(number, path.toString('latin1'), { flags, followsLinks: false, crossesMounts: false });
}

/** Paths that lead on from one another, each short enough. */
function joinNames(names: readonly EntryName[]): Buffer[] {
  const paths: Buffer[] = [];
  let parts: Buffer[] = [];
  let length = 0;
  const end = (): void => {
    if (parts.length > 0) paths.push(Buffer.concat(parts));
    parts = [];
    length = 0;
  };
  for (const name of names) {
    if (length + name.length + 2 > PATH_MAX) end();
    if (parts.length > 0) parts.push(SLASH);
    parts.push(name);
    length += name.length + 1;
  }
  end();
  return paths;
}

const SLASH = Buffer.from('/');

/** The value of an extended attribute of an open file, at most 255 bytes; undefined where it has none. Source: man 2 getxattr. */
export function readAttribute(file: OwnedFd, name: string): Buffer | undefined {
  const value = Buffer.alloc(255);
  const length = getxattr(file.number, terminated(Buffer.from(name)), value, value.length);
  return length < 0 ? undefined : value.subarray(0, length);
}

function terminated(name: Buffer): Buffer {
  return Buffer.concat([name, Buffer.of(0)]);
}

function show(name: Buffer): string {
  return JSON.stringify(name.toString());
}
