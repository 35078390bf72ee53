import { TsrunError } from '../errors.ts';
import { checked, hasErrno, lastErrno } from './errno.ts';
import { bindLibc } from './library.ts';

const flistxattr = bindLibc('long flistxattr(int fd, void *list, size_t size)');
const fgetxattr = bindLibc('long fgetxattr(int fd, const void *name, void *value, size_t size)');
const fsetxattr = bindLibc('int fsetxattr(int fd, const void *name, const void *value, size_t size, int flags)');
const fremovexattr = bindLibc('int fremovexattr(int fd, const void *name)');
const lsetxattr = bindLibc(
  'int lsetxattr(const void *path, const void *name, const void *value, size_t size, int flags)',
);

/** include/uapi/linux/limits.h: of a list and of a value. */
const XATTR_MAX = 65_536;
/** Not to be read, not to be written here, or gone since they were listed. */
const PASSED_OVER = ['EOPNOTSUPP', 'EPERM', 'EACCES', 'EINVAL', 'ENODATA'];

/**
 * Copies the extended attributes of a file (capabilities, access control lists, a user's own) to another; those that the other may
 * not have are passed over.
 *
 * Returns how many bytes of values were copied. Errors: `host`; `unsupported` at more than `limitBytes`. Source: man 7 xattr.
 */
export function copyAttributes(fromFd: number, toFd: number, limitBytes: number): number {
  const list = Buffer.alloc(XATTR_MAX);
  const length = flistxattr(fromFd, list, list.length);
  if (length < 0) {
    if (PASSED_OVER.includes(lastErrno())) return 0;
    checked(length, 'list attributes');
  }
  let copied = 0;
  for (let start = 0; start < length;) {
    const end = list.indexOf(0, start) + 1;
    copied += copyAttribute(fromFd, toFd, list.subarray(start, end));
    if (copied > limitBytes)
      throw new TsrunError('unsupported', `copy up: more than ${limitBytes} bytes of attributes`);
    start = end;
  }
  return copied;
}

/** `name` ends in NUL. */
function copyAttribute(fromFd: number, toFd: number, name: Buffer): number {
  const value = Buffer.alloc(XATTR_MAX);
  const what = `copy attribute ${JSON.stringify(name.toString('utf8', 0, name.length - 1))}`;
  try {
    const size = checked(fgetxattr(fromFd, name, value, value.length), what);
    checked(fsetxattr(toFd, name, value, size, 0), what);
    return size;
  } catch (error) {
    if (hasErrno(error, ...PASSED_OVER)) return 0;
    throw error;
  }
}

/**
 * Sets an attribute of an open file; false where the file system or the user may not have it. `name` is one byte a character (latin1).
 * Errors: `host`. Source: man 2 setxattr.
 */
export function setAttribute(fd: number, name: string, value: Uint8Array): boolean {
  return isSet(fsetxattr(fd, nameBytes(name), value, value.length, 0), name);
}

/** The same for what a path ends in, a symlink or a device itself. */
export function setPathAttribute(path: Uint8Array, name: string, value: Uint8Array): boolean {
  return isSet(lsetxattr(Buffer.concat([path, Buffer.of(0)]), nameBytes(name), value, value.length, 0), name);
}

/** Takes the attributes of an open file away, those that may be. Errors: `host`. */
export function clearAttributes(fd: number): void {
  const list = Buffer.alloc(XATTR_MAX);
  const length = flistxattr(fd, list, list.length);
  if (length <= 0) return;
  for (const name of list.toString('latin1', 0, length - 1).split('\0')) fremovexattr(fd, nameBytes(name));
}

function isSet(result: number, name: string): boolean {
  if (result < 0 && PASSED_OVER.includes(lastErrno())) return false;
  checked(result, `set attribute ${JSON.stringify(name)}`);
  return true;
}

function nameBytes(name: string): Buffer {
  return Buffer.from(`${name}\0`, 'latin1');
}
