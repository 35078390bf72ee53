import { accessSync, constants, statSync } from 'node:fs';
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
} from '../util/constants.ts';
import { checked, lastErrno } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { writeFully } from './io.ts';
import { bindLibc } from './library.ts';
import { temporaryName } from './temporary-name.ts';

const openCall = bindLibc('int open(const char *path, int flags, unsigned int mode)');
const openat2Call = bindLibc(
  'long syscall(long number, int directory, const char *path, const void *how, size_t size)',
);
const unlinkCall = bindLibc('int unlink(const char *path)');
const flockCall = bindLibc('int flock(int fd, int operation)');

const LOCK_EX = 2;
const LOCK_NB = 4;

/** Opens a file of the host, close-on-exec. Errors: `host`, the path in the message. Source: man 2 open. */
export function openFile(hostPath: string, flags: number, mode = 0): OwnedFd {
  return new OwnedFd(checked(openCall(hostPath, flags | O_CLOEXEC, mode), `open ${JSON.stringify(hostPath)}`));
}

/** The same on x86-64 and arm64 (include/uapi/asm-generic/unistd.h). */
const SYS_OPENAT2 = 437;

/**
 * A handle (O_PATH) of what an absolute path leads to without links that mean a process, as /proc/self/fd has them. Errors: `host` (ELOOP
 * for such a link). Source: man 2 openat2.
 */
export function openWithoutMagicLinks(hostPath: string): OwnedFd {
  return openHandle(AT_FDCWD, hostPath, RESOLVE_NO_MAGICLINKS);
}

/**
 * A handle (O_PATH) of what a path leads to for whoever has a directory as root, also by its symlinks, and without links that mean a
 * process. Errors: `host`. Source: man 2 openat2.
 */
export function openInRoot(root: OwnedFd, rootfsPath: string): OwnedFd {
  return openHandle(root.number, rootfsPath, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

function openHandle(directoryFd: number, path: string, resolve: number): OwnedFd {
  // struct open_how: flags, mode, resolve.
  const how = Buffer.from(BigUint64Array.of(BigInt(O_PATH | O_CLOEXEC), 0n, BigInt(resolve)).buffer);
  const result = openat2Call(SYS_OPENAT2, directoryFd, path, how, how.length);
  return new OwnedFd(checked(result, `open ${JSON.stringify(path)}`));
}

/** Writes a kernel file with a single write(2), as the id maps and most files of /proc and cgroups demand. Errors: `host`. */
export function writeKernelFile(hostPath: string, content: string): void {
  using file = openFile(hostPath, O_WRONLY);
  writeFully(file.number, Buffer.from(content));
}

/** Tries to take the exclusive advisory lock of an open file; false while another holds it. Errors: `host`. Source: man 2 flock. */
export function tryLock(fd: number): boolean {
  const result = flockCall(fd, LOCK_EX | LOCK_NB);
  if (result < 0 && lastErrno() === 'EAGAIN') return false;
  checked(result, `lock descriptor ${fd}`);
  return true;
}

/**
 * An executable file without a name, opened read-only: what stands in where memfds may not be executed.
 *
 * Errors: `host`. Effects: a file exists in `directory` for a moment.
 */
export function createUnlinkedExecutable(directory: string, name: string, bytes: Uint8Array): OwnedFd {
  const path = `${directory}/${temporaryName(`.${name}-`)}`;
  try {
    using writable = openFile(path, O_WRONLY | O_CREAT | O_EXCL, 0o500);
    writeFully(writable.number, bytes);
  } catch (error) {
    unlinkCall(path);
    throw error;
  }
  try {
    return openFile(path, O_RDONLY);
  } finally {
    unlinkCall(path);
  }
}

/** Whether there is a regular file of the host that this process may execute. */
export function isExecutableFile(hostPath: string): boolean {
  try {
    accessSync(hostPath, constants.X_OK);
    return statSync(hostPath).isFile();
  } catch {
    return false;
  }
}
