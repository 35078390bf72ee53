import { checked } from './errno.ts';
import { bindLibc } from './library.ts';

const mknodat = bindLibc('int mknodat(int dirfd, const void *path, unsigned int mode, unsigned long dev)');
const readlinkat = bindLibc('long readlinkat(int dirfd, const char *path, void *buffer, size_t size)');
const setfsuid = bindLibc('int setfsuid(unsigned int uid)');
const setfsgid = bindLibc('int setfsgid(unsigned int gid)');

const PATH_MAX = 4096;

/**
 * Makes a FIFO, a socket or a device, by the name (bytes) that it gets in a directory. `mode` has the type of the file, and the umask
 * is taken off its permissions. Errors: `host`. Source: man 2 mknod.
 */
export function makeNode(directoryFd: number, name: Uint8Array, mode: number, device: number): void {
  checked(mknodat(directoryFd, Buffer.concat([name, Buffer.of(0)]), mode, device), 'make a node');
}

/** What a symlink that is open itself (O_PATH with O_NOFOLLOW) has as its target. Shape: bytes. Errors: `host`. */
export function readLinkHandle(fd: number): Buffer {
  const buffer = Buffer.alloc(PATH_MAX);
  return buffer.subarray(0, checked(readlinkat(fd, '', buffer, buffer.length), 'read a symlink'));
}

/**
 * Does something synchronous as another user in the eyes of the file system, so that what it makes is that user's from the start.
 * Root alone may do that: for everyone else, and for one's own id, nothing changes. Source: man 2 setfsuid (it is a thread's own).
 */
export function asFileOwner<T>({ uid, gid }: { readonly uid: number; readonly gid: number }, make: () => T): T {
  const before = { gid: setfsgid(gid), uid: setfsuid(uid) };
  try {
    return make();
  } finally {
    setfsuid(before.uid);
    setfsgid(before.gid);
  }
}
