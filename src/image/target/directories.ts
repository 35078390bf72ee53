import { fstatSync } from 'node:fs';
import { chmodFile, makeDirectoryAt, openAt, openBeneath, setTimes, type FileTimes } from '../../sys/archive/at.ts';
import { hasErrno } from '../../sys/errno.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { O_DIRECTORY, O_NOFOLLOW } from '../../sys/open-flags.ts';
import { O_RDONLY } from '../../util/constants.ts';
import { refuse, showName } from '../refuse.ts';
import type { Place } from './name.ts';

interface Entered {
  readonly path: string;
  readonly fd: OwnedFd;
  readonly times: FileTimes;
}

/** What a directory has that no entry speaks of. */
const IMPLIED_MODE = 0o755;

/**
 * The directories of a tree, opened below its root (openat2, RESOLVE_BENEATH), by symlinks only as far as they stay there. Errors of its
 * methods: `bundle`, `host`.
 */
export class Directories implements Disposable {
  readonly #root: OwnedFd;
  /** Where the last entry went. What is put into a directory changes its times, which are given back when it is left. */
  #entered: Entered | undefined;

  constructor(root: OwnedFd) {
    this.#root = root;
  }

  /** Opens a directory, which stays open until the next one is entered; what is missing on the way to it is made. */
  enter(path: string): OwnedFd {
    if (this.#entered?.path === path) return this.#entered.fd;
    this.leave();
    return this.#become(path, this.#openDirectory(path));
  }

  /** The same, undefined where there is none. */
  enterExisting(path: string): OwnedFd | undefined {
    if (this.#entered?.path === path) return this.#entered.fd;
    this.leave();
    try {
      return this.#become(path, this.#open(path));
    } catch (error) {
      if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw error;
    }
  }

  #become(path: string, fd: OwnedFd): OwnedFd {
    const { atimeNs, mtimeNs } = fstatSync(fd.number, { bigint: true });
    this.#entered = { path, fd, times: { atimeNs, mtimeNs } };
    return fd;
  }

  /** Gives the one that is open its times back, and closes it. */
  leave(): void {
    if (this.#entered === undefined) return;
    setTimes(this.#entered.fd.number, this.#entered.times);
    this.#entered.fd.close();
    this.#entered = undefined;
  }

  /** The directory that the target of a hard link is in; the caller's. */
  find({ directory, path }: Place): OwnedFd {
    try {
      return this.#open(directory);
    } catch (cause) {
      if (!hasErrno(cause, 'ENOENT', 'ENOTDIR')) throw cause;
      throw refuse(`a hard link leads to ${showName(path)}, which is no file of the image`);
    }
  }

  /** A directory, after the ones that are missing on the way to it were made. */
  #openDirectory(path: string): OwnedFd {
    try {
      return this.#open(path);
    } catch (error) {
      if (!hasErrno(error, 'ENOENT')) {
        if (!hasErrno(error, 'ENOTDIR')) throw error;
        throw refuse(`the directory ${showName(path)} is a file of the image`);
      }
    }
    const slash = path.lastIndexOf('/');
    const base = path.slice(slash + 1);
    using parent = this.#openDirectory(path.slice(0, Math.max(slash, 0)));
    try {
      makeDirectoryAt(parent.number, base, IMPLIED_MODE);
    } catch (error) {
      if (!hasErrno(error, 'EEXIST')) throw error;
      throw refuse(`the directory ${showName(path)} is a symlink of the image that leads nowhere`);
    }
    const made = openAt(parent.number, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    chmodFile(made.number, IMPLIED_MODE);
    return made;
  }

  #open(path: string): OwnedFd {
    try {
      return openBeneath(this.#root.number, path, { flags: O_RDONLY | O_DIRECTORY, followsLinks: true });
    } catch (cause) {
      if (hasErrno(cause, 'EXDEV', 'ELOOP'))
        throw refuse(`the directory ${showName(path)} is, or is behind, a symlink that leads out of the image`);
      if (hasErrno(cause, 'ENAMETOOLONG')) throw refuse(`the name ${showName(path)} is too long`);
      throw cause;
    }
  }

  [Symbol.dispose](): void {
    this.#entered?.fd.close();
    this.#entered = undefined;
  }
}
