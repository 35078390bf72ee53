import { lstatSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import {
  chmodAt,
  chmodFile,
  linkAt,
  makeDirectoryAt,
  openAt,
  openBeneath,
  setTimes,
  symlinkAt,
} from '../../sys/archive/at.ts';
import { hasErrno } from '../../sys/errno.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { makeNode } from '../../sys/node.ts';
import { O_DIRECTORY, O_NOFOLLOW } from '../../sys/open-flags.ts';
import { clearAttributes } from '../../sys/xattr.ts';
import { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY, S_IFBLK, S_IFCHR, S_IFIFO } from '../../util/constants.ts';
import { refuse, showName } from '../refuse.ts';
import type { TarEntry } from '../tar/entry.ts';
import { Directories } from './directories.ts';
import { Metadata } from './metadata.ts';
import type { Place } from './name.ts';
import { namesIn, removeTree } from './remove.ts';

/** Majors and minors as the kernel has them (include/linux/kdev_t.h). */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xf_ffff;
/** Directories of an ordinary user's that wait for their mode are held in memory. */
const MAX_LATE_MODES = 100_000;

/**
 * A directory that entries of archives are put into.
 *
 * Each place is opened below the root (openat2, RESOLVE_BENEATH), by symlinks only as far as they stay there, and what is made is made by
 * name in the open directory, never over something that exists: what is in the way is removed before.
 */
export class Tree implements Disposable {
  readonly #root: OwnedFd;
  readonly #directories: Directories;
  readonly #trash: OwnedFd;
  readonly #metadata: Metadata;
  readonly #lateModes = new Map<string, number>();

  constructor(root: OwnedFd, options: { readonly trash: OwnedFd; readonly metadata: Metadata }) {
    this.#root = root;
    this.#directories = new Directories(root);
    this.#trash = options.trash;
    this.#metadata = options.metadata;
    // The same tree comes of the same image where no entry speaks of the root.
    setTimes(root.number, { atimeNs: 0n, mtimeNs: 0n });
  }

  /** Makes a regular file and answers it, open for writing; finish() does the rest. Errors: `bundle`, `host`. */
  createFile({ directory, base }: Place): OwnedFd {
    const parent = this.#directories.enter(directory);
    return this.#create(parent, base, () =>
      openAt(parent.number, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600),
    );
  }

  /** Owner, mode, attributes and times of a file that was written. */
  finish(file: OwnedFd, entry: TarEntry): void {
    this.#metadata.giveTo(file.number, entry, entry.mode);
  }

  makeDirectory({ path, directory, base }: Place, entry: TarEntry): void {
    if (base === '') {
      this.#directories.leave();
      this.#giveDirectory(this.#root, '', entry);
      return;
    }
    const parent = this.#directories.enter(directory);
    const kept = this.#openDirectoryAt(parent, base);
    if (kept !== undefined) clearAttributes(kept.number);
    else
      this.#create(parent, base, () => {
        makeDirectoryAt(parent.number, base, 0o700);
      });
    using made = kept ?? openAt(parent.number, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    this.#giveDirectory(made, path, entry);
  }

  makeSymlink({ directory, base }: Place, entry: TarEntry): void {
    if (entry.linkName === '') throw refuse(`the symlink ${showName(entry.name)} leads nowhere`);
    const parent = this.#directories.enter(directory);
    this.#create(parent, base, () => {
      symlinkAt(entry.linkName, parent.number, base);
    });
    this.#metadata.giveToName(parent.number, base, entry);
  }

  /** Another name of a file of this tree. */
  makeHardLink(place: Place, target: Place): void {
    const parent = this.#directories.enter(place.directory);
    const { base } = place;
    // Removing what is in the way must not remove the file itself.
    if (place.path === target.path) throw refuse(`the hard link ${showName(place.path)} leads to itself`);
    using opened = target.directory === place.directory ? undefined : this.#directories.find(target);
    const from = { fd: (opened ?? parent).number, name: target.base };
    try {
      this.#create(parent, base, () => {
        linkAt(from, { fd: parent.number, name: base });
      });
    } catch (cause) {
      if (!hasErrno(cause, 'ENOENT', 'EPERM')) throw cause;
      throw refuse(
        `the hard link ${showName(place.path)} leads to ${showName(target.path)}, which is no file of the image`,
      );
    }
  }

  /** A device or a FIFO; an ordinary user, who may make no device, gets an empty file. */
  makeNode(place: Place, entry: TarEntry): void {
    const { type, major, minor } = entry;
    if (type !== 'fifo' && this.#metadata.isRootless) {
      using file = this.createFile(place);
      this.finish(file, entry);
      return;
    }
    if (major < 0 || minor < 0 || major > MAX_MAJOR || minor > MAX_MINOR)
      throw refuse(`the device ${showName(entry.name)} is ${major}:${minor}, which no device is`);
    const parent = this.#directories.enter(place.directory);
    const format = type === 'fifo' ? S_IFIFO : type === 'block' ? S_IFBLK : S_IFCHR;
    const device = type === 'fifo' ? 0 : deviceNumber(major, minor);
    const name = Buffer.from(place.base, 'latin1');
    this.#create(parent, place.base, () => {
      makeNode(parent.number, name, format | 0o600, device);
    });
    this.#metadata.giveToName(parent.number, place.base, entry);
    chmodAt(parent.number, place.base, entry.mode);
    this.#metadata.giveTimes(parent.number, place.base, entry);
  }

  /** Takes a name away, with all below it. */
  remove({ directory, base }: Place): void {
    const parent = this.#directories.enterExisting(directory);
    if (parent === undefined) return;
    removeTree(parent, base, this.#trash);
  }

  /** Takes all names of a directory away but those that are kept, and likewise in those. Shape of `isKept`: of a path. */
  empty(directory: string, isKept: (path: string) => boolean): void {
    const opened = this.#directories.enterExisting(directory);
    if (opened === undefined) return;
    const kept: string[] = [];
    for (const base of namesIn(opened)) {
      const path = directory === '' ? base : `${directory}/${base}`;
      if (!isKept(path)) removeTree(opened, base, this.#trash);
      else if (lstatSync(inside(opened, base)).isDirectory()) kept.push(path);
    }
    for (const path of kept) this.empty(path, isKept);
  }

  /** Has overlayfs hide a name of lower layers: a device 0:0. What this layer has under that name stays. */
  hide({ directory, base }: Place): void {
    const parent = this.#directories.enter(directory);
    try {
      makeNode(parent.number, Buffer.from(base, 'latin1'), S_IFCHR, 0);
    } catch (error) {
      if (!hasErrno(error, 'EEXIST')) throw error;
    }
  }

  /** Has overlayfs hide all that lower layers have in a directory. */
  makeOpaque(directory: string): void {
    this.#metadata.makeOpaque(this.#directories.enter(directory).number);
  }

  /** What had to wait until everything was there. */
  close(): void {
    this.#directories.leave();
    // The deepest first: without its mode nobody gets to what is below.
    for (const [path, mode] of [...this.#lateModes].sort(([a], [b]) => b.length - a.length)) this.#giveMode(path, mode);
    this.#lateModes.clear();
  }

  [Symbol.dispose](): void {
    this.#directories[Symbol.dispose]();
  }

  #giveMode(path: string, mode: number): void {
    try {
      using directory = openBeneath(this.#root.number, path, { flags: O_RDONLY | O_DIRECTORY, followsLinks: false });
      chmodFile(directory.number, mode);
    } catch (error) {
      // A later layer has put something else there, or nothing.
      if (!hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error;
    }
  }

  #giveDirectory(directory: OwnedFd, path: string, entry: TarEntry): void {
    const isLate = this.#metadata.isRootless && (entry.mode & 0o700) !== 0o700;
    if (isLate) this.#lateModes.set(path, entry.mode);
    else this.#lateModes.delete(path);
    if (this.#lateModes.size > MAX_LATE_MODES)
      throw refuse(`it has more than ${MAX_LATE_MODES} directories that their owner may not write`);
    this.#metadata.giveTo(directory.number, entry, isLate ? entry.mode | 0o700 : entry.mode);
  }

  /** Makes something, after the removal of what is in the way. */
  #create<T>(parent: OwnedFd, base: string, make: () => T): T {
    if (base === '') throw refuse('the root of the image is no directory');
    try {
      return make();
    } catch (error) {
      if (!hasErrno(error, 'EEXIST')) throw error;
      removeTree(parent, base, this.#trash);
      return make();
    }
  }

  #openDirectoryAt(parent: OwnedFd, base: string): OwnedFd | undefined {
    try {
      return openAt(parent.number, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    } catch (error) {
      if (error instanceof TsrunError && hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
      throw error;
    }
  }
}

function inside(directory: OwnedFd, base: string): Buffer {
  return Buffer.concat([Buffer.from(`${descriptorPath(directory.number)}/`), Buffer.from(base, 'latin1')]);
}

/** As mknod(2) takes it (include/linux/kdev_t.h, new_encode_dev). */
function deviceNumber(major: number, minor: number): number {
  return (minor & 0xff) + major * 0x100 + (minor >> 8) * 0x10_0000;
}
