import { TsrunError } from '../errors.ts';
import { checked, hasErrno, lastErrno } from './errno.ts';
import { bindLibc } from './library.ts';

const flistxattr = bindLibc('long flistxattr(int fd, void *list, size_t size)');
const fgetxattr = bindLibc('long fgetxattr(int fd, const void *name, void *value, size_t size)');
const fsetxattr = bindLibc('int fsetxattr(int fd, const void *name, const void *value, size_t size, int flags)');

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
