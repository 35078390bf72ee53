import {
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../util/constants.ts';
import { checked } from '../errno.ts';
import { OwnedFd } from '../fd.ts';
import { bindLibc } from '../library.ts';

const openatCall = bindLibc('int openat(int dirfd, const void *path, int flags, unsigned int mode)');
const openat2Call = bindLibc(
  'long syscall(long number, int directory, const void *path, const void *how, size_t size)',
);
const mkdiratCall = bindLibc('int mkdirat(int dirfd, const void *path, unsigned int mode)');
const symlinkatCall = bindLibc('int symlinkat(const void *target, int dirfd, const void *path)');
const linkatCall = bindLibc('int linkat(int fromfd, const void *from, int tofd, const void *to, int flags)');
const unlinkatCall = bindLibc('int unlinkat(int dirfd, const void *path, int flags)');
const renameatCall = bindLibc('int renameat(int fromfd, const void *from, int tofd, const void *to)');
const fchownatCall = bindLibc(
  'int fchownat(int dirfd, const void *path, unsigned int uid, unsigned int gid, int flags)',
);
const fchmodatCall = bindLibc('int fchmodat(int dirfd, const void *path, unsigned int mode, int flags)');
const utimensatCall = bindLibc('int utimensat(int dirfd, const void *path, const void *times, int flags)');
const futimensCall = bindLibc('int futimens(int fd, const void *times)');
const fchownCall = bindLibc('int fchown(int fd, unsigned int uid, unsigned int gid)');
const fchmodCall = bindLibc('int fchmod(int fd, unsigned int mode)');

/** The same on x86-64 and arm64 (include/uapi/asm-generic/unistd.h). */
const SYS_OPENAT2 = 437;
const NANOSECONDS = 1_000_000_000n;

/** A name in a directory, or a path below it. Shape: bytes without NUL, one a character (latin1). */
export type AtPath = string;

/** Nanoseconds since 1970. */
export interface FileTimes {
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
}

/**
 * Opens what a path leads to, without leaving a directory: by symlinks only as far as they stay below it, or by none; into what is mounted
 * there unless `crossesMounts` is false. Errors: `host`: EXDEV for a way out, and for a mount; ELOOP where `followsLinks` is false. Source: man 2 openat2.
 */
export function openBeneath(
  directoryFd: number,
  path: AtPath,
  {
    flags,
    followsLinks,
    crossesMounts = true,
  }: { readonly flags: number; readonly followsLinks: boolean; readonly crossesMounts?: boolean },
): OwnedFd {
  const links = followsLinks ? 0 : RESOLVE_NO_SYMLINKS;
  const resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | links | (crossesMounts ? 0 : RESOLVE_NO_XDEV);
  // struct open_how: flags, mode, resolve.
  const how = Buffer.from(BigUint64Array.of(BigInt(flags | O_CLOEXEC), 0n, BigInt(resolve)).buffer);
  const name = path === '' ? '.' : path;
  return new OwnedFd(
    checked(openat2Call(SYS_OPENAT2, directoryFd, bytesOf(name), how, how.length), `open ${show(name)}`),
  );
}

/** Opens or makes a file by its name in a directory. Errors: `host`. Source: man 2 openat. */
export function openAt(directoryFd: number, name: AtPath, flags: number, mode = 0): OwnedFd {
  return new OwnedFd(checked(openatCall(directoryFd, bytesOf(name), flags | O_CLOEXEC, mode), `open ${show(name)}`));
}

/** Errors: `host`. Source: man 2 mkdir. */
export function makeDirectoryAt(directoryFd: number, name: AtPath, mode: number): void {
  checked(mkdiratCall(directoryFd, bytesOf(name), mode), `make the directory ${show(name)}`);
}

/** Errors: `host`. Source: man 2 symlink. */
export function symlinkAt(target: AtPath, directoryFd: number, name: AtPath): void {
  checked(symlinkatCall(bytesOf(target), directoryFd, bytesOf(name)), `make the symlink ${show(name)}`);
}

/** A file or symlink gets another name; a symlink is not followed. Errors: `host`. Source: man 2 link. */
export function linkAt(from: { readonly fd: number; readonly name: AtPath }, to: typeof from): void {
  checked(linkatCall(from.fd, bytesOf(from.name), to.fd, bytesOf(to.name), 0), `link ${show(to.name)}`);
}

/** Errors: `host`. Source: man 2 unlink. */
export function unlinkAt(directoryFd: number, name: AtPath): void {
  checked(unlinkatCall(directoryFd, bytesOf(name), 0), `remove ${show(name)}`);
}

/** An empty directory. Errors: `host`. Source: man 2 unlink. */
export function removeDirectoryAt(directoryFd: number, name: AtPath): void {
  checked(unlinkatCall(directoryFd, bytesOf(name), AT_REMOVEDIR), `remove ${show(name)}`);
}

/** Errors: `host`. Source: man 2 rename. */
export function renameAt(from: { readonly fd: number; readonly name: AtPath }, to: typeof from): void {
  checked(renameatCall(from.fd, bytesOf(from.name), to.fd, bytesOf(to.name)), `rename ${show(from.name)}`);
}

/** Owner of what has a name in a directory, a symlink itself. Errors: `host`. Source: man 2 chown. */
export function chownAt(
  directoryFd: number,
  name: AtPath,
  { uid, gid }: { readonly uid: number; readonly gid: number },
): void {
  const what = `give ${show(name)} to ${uid}:${gid}`;
  checked(fchownatCall(directoryFd, bytesOf(name), uid, gid, AT_SYMLINK_NOFOLLOW), what);
}

/** Mode of what has a name in a directory: follows a symlink, so it is for what is known to be none. Errors: `host`. */
export function chmodAt(directoryFd: number, name: AtPath, mode: number): void {
  checked(fchmodatCall(directoryFd, bytesOf(name), mode, 0), `change the mode of ${show(name)}`);
}

/** Times of what has a name in a directory, a symlink itself. Errors: `host`. Source: man 2 utimensat. */
export function setTimesAt(directoryFd: number, name: AtPath, times: FileTimes): void {
  checked(
    utimensatCall(directoryFd, bytesOf(name), timespecs(times), AT_SYMLINK_NOFOLLOW),
    `set times of ${show(name)}`,
  );
}

/** Times of an open file. Errors: `host`. */
export function setTimes(fd: number, times: FileTimes): void {
  checked(futimensCall(fd, timespecs(times)), 'set times');
}

/** Owner of an open file. Errors: `host`. */
export function chownFile(fd: number, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  checked(fchownCall(fd, uid, gid), `give a file to ${uid}:${gid}`);
}

/** Mode of an open file. Errors: `host`. */
export function chmodFile(fd: number, mode: number): void {
  checked(fchmodCall(fd, mode), 'change the mode of a file');
}

function timespecs({ atimeNs, mtimeNs }: FileTimes): Buffer {
  const parts = [atimeNs, mtimeNs].flatMap((ns) => {
    const rest = ((ns % NANOSECONDS) + NANOSECONDS) % NANOSECONDS;
    return [(ns - rest) / NANOSECONDS, rest];
  });
  return Buffer.from(BigInt64Array.from(parts).buffer);
}

function bytesOf(path: AtPath): Buffer {
  return Buffer.from(`${path}\0`, 'latin1');
}

function show(path: AtPath): string {
  return JSON.stringify(Buffer.from(path, 'latin1').toString());
}
