import { chmodFile, chownAt, chownFile, setTimes, setTimesAt } from '../../sys/archive/at.ts';
import { descriptorPath } from '../../sys/fd.ts';
import { setAttribute, setPathAttribute } from '../../sys/xattr.ts';
import { refuse, showName } from '../refuse.ts';
import type { TarEntry } from '../tar/entry.ts';

/**
 * The attributes that an image may give its files. None of overlayfs's, by which a layer would show files of its own as those of a
 * directory that it chooses; none of a security module's, whose names mean something on another machine.
 */
const ATTRIBUTES =
  /^(user\.(?!overlay\.|rootlesscontainers)|security\.capability$|system\.posix_acl_(access|default)$)/;
const XATTR_NAME_MAX = 255;
const XATTR_SIZE_MAX = 65_536;
const LARGEST_ID = 0xffff_fffe;

/** What is done to a file after it was made: owner, attributes, mode, times, in the order in which none undoes another. */
export class Metadata {
  /** An ordinary user, whose all files are. */
  readonly isRootless: boolean;

  constructor({ isRootless }: { readonly isRootless: boolean }) {
    this.isRootless = isRootless;
  }

  /** Of a file or a directory that is open. `mode` is the one that it gets for now. */
  giveTo(fd: number, entry: TarEntry, mode: number): void {
    // A change of owner takes set-uid bits and capabilities away.
    if (!this.isRootless) chownFile(fd, ownerOf(entry));
    // Before a mode that would keep an ordinary user from setting them.
    for (const [name, value] of allowed(entry)) setAttribute(fd, name, value);
    chmodFile(fd, mode);
    setTimes(fd, entry);
  }

  /** Of a symlink, a device or a FIFO, by its name in an open directory. */
  giveToName(directoryFd: number, base: string, entry: TarEntry): void {
    if (!this.isRootless) chownAt(directoryFd, base, ownerOf(entry));
    const path = Buffer.concat([Buffer.from(`${descriptorPath(directoryFd)}/`), Buffer.from(base, 'latin1')]);
    for (const [name, value] of allowed(entry)) setPathAttribute(path, name, value);
    this.giveTimes(directoryFd, base, entry);
  }

  giveTimes(directoryFd: number, base: string, entry: TarEntry): void {
    setTimesAt(directoryFd, base, entry);
  }

  /** Source: Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories". */
  makeOpaque(fd: number): void {
    const name = this.isRootless ? 'user.overlay.opaque' : 'trusted.overlay.opaque';
    if (!setAttribute(fd, name, Buffer.from('y'))) throw refuse(`the file system takes no attribute ${name}`);
  }
}

function ownerOf({ name, uid, gid }: TarEntry): { uid: number; gid: number } {
  if (uid < 0 || gid < 0 || uid > LARGEST_ID || gid > LARGEST_ID)
    throw refuse(`the file ${showName(name)} is of ${uid}:${gid}, which no user is`);
  return { uid, gid };
}

function* allowed({ name, attributes }: TarEntry): Generator<[name: string, value: Buffer]> {
  for (const [key, value] of attributes) {
    if (!ATTRIBUTES.test(key)) continue;
    if (key.length > XATTR_NAME_MAX || value.length > XATTR_SIZE_MAX)
      throw refuse(`the file ${showName(name)} has an attribute that is too large`);
    yield [key, Buffer.from(value, 'latin1')];
  }
}
