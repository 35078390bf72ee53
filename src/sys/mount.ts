import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  FSCONFIG_CMD_CREATE,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_IDMAP,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_SYMLINKS,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../util/constants.ts';
import { MNT_DETACH, MS_BIND, MS_PRIVATE, MS_REC, UMOUNT_NOFOLLOW } from '../util/constants.ts';
import { checked } from './errno.ts';
import { descriptorPath, OwnedFd } from './fd.ts';
import { bindLibc } from './library.ts';

const mountCall = bindLibc(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)',
);
const umountCall = bindLibc('int umount2(const char *target, int flags)');

const syscall = bindLibc('long syscall(long number, ...)');

/** The same on x86-64 and arm64. */
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const SYS_FSOPEN = 430;
const SYS_FSCONFIG = 431;
const SYS_FSMOUNT = 432;
const SYS_MOUNT_SETATTR = 442;

/**
 * The root directory of a new, empty tmpfs that is mounted nowhere, nosuid and nodev, and whose files can be executed. It is gone
 * when nothing in it is open any more.
 *
 * Errors: `host`; `errno` EPERM without CAP_SYS_ADMIN over the mount namespace. Source: man 2 fsopen, man 2 fsmount (Linux 5.2).
 */
export function openDetachedTmpfs(): OwnedFd {
  const what = 'make a tmpfs';
  using context = new OwnedFd(checked(syscall(SYS_FSOPEN, 'const char *', 'tmpfs', 'uint', FSOPEN_CLOEXEC), what));
  const create = ['uint', FSCONFIG_CMD_CREATE, 'void *', null, 'void *', null, 'int', 0];
  checked(syscall(SYS_FSCONFIG, 'int', context.number, ...create), what);
  const attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  const flags = ['uint', FSMOUNT_CLOEXEC, 'uint', attributes];
  return new OwnedFd(checked(syscall(SYS_FSMOUNT, 'int', context.number, ...flags), what));
}

/** Mounts a directory, with all that is mounted below it, over itself. Errors: `host`. Source: man 2 mount. */
export function bindOverItself(directory: OwnedFd, shown: string): void {
  const self = descriptorPath(directory.number);
  checked(mountCall(self, self, null, MS_BIND | MS_REC, null), `mount ${shown} over itself`);
}

/** Cuts a mount and those below it off from every other. The descriptor is one of its root. Errors: `host`. */
export function makePrivate(root: OwnedFd, shown: string): void {
  checked(
    mountCall(null, descriptorPath(root.number), null, MS_PRIVATE | MS_REC, null),
    `make the mount on ${shown} private`,
  );
}

/**
 * Takes a mount, with those below it, out of sight at once; it ends when nobody uses it any more. Errors: `host`. Source: man 2 umount2.
 */
export function detachMount(root: OwnedFd, shown: string): void {
  checked(umountCall(descriptorPath(root.number), MNT_DETACH), `unmount ${shown}`);
}

/** What mount(2) is given, beside where. */
export interface MountArguments {
  readonly type: string;
  readonly source: string;
  readonly flags: number;
  readonly data: string;
}

/** Mounts at a path of the host. A source that is relative begins in the working directory. Errors: `host`. Source: man 2 mount. */
export function mountAt(target: string, { type, source, flags, data }: MountArguments): void {
  const what = `mount ${JSON.stringify(source)} (${type}) on ${JSON.stringify(target)}`;
  checked(mountCall(source, target, type, flags, data === '' ? null : data), what);
}

/** Takes the uppermost mount at a path of the host out of sight; a link there is not followed. Errors: `host` (EINVAL: nothing is mounted). */
export function unmountAt(target: string): void {
  checked(umountCall(target, MNT_DETACH | UMOUNT_NOFOLLOW), `unmount ${JSON.stringify(target)}`);
}

/**
 * A copy of the mount of a path of the host, from there on, whose ids are those that a user namespace gives them; it is mounted nowhere. The
 * namespace is a descriptor of it. `isDeep`: with all that is mounted below.
 *
 * Errors: `host` (EINVAL: the file system cannot). Source: man 2 open_tree, man 2 mount_setattr (Linux 5.12).
 */
export function cloneMapped(
  source: string,
  namespace: OwnedFd,
  { isDeep, isReadOnly }: { readonly isDeep: boolean; readonly isReadOnly: boolean },
): OwnedFd {
  const depth = isDeep ? AT_RECURSIVE : 0;
  const flags = ['uint', OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | depth];
  const what = `copy the mount of ${JSON.stringify(source)}`;
  const tree = new OwnedFd(checked(syscall(SYS_OPEN_TREE, 'int', AT_FDCWD, 'const char *', source, ...flags), what));
  try {
    // struct mount_attr: what is set, what is cleared, propagation, user namespace.
    const attributes = Buffer.from(
      new BigUint64Array([
        BigInt(MOUNT_ATTR_IDMAP | (isReadOnly ? MOUNT_ATTR_RDONLY : 0)),
        0n,
        0n,
        BigInt(namespace.number),
      ]).buffer,
    );
    const place = ['int', tree.number, 'const char *', '', 'uint', AT_EMPTY_PATH | depth];
    const change = ['void *', attributes, 'size_t', attributes.length];
    checked(syscall(SYS_MOUNT_SETATTR, ...place, ...change), `map the ids of ${JSON.stringify(source)}`);
    return tree;
  } catch (error) {
    tree.close();
    throw error;
  }
}

/** Mounts what is mounted nowhere at a path of the host, which may be that of a descriptor. Errors: `host`. Source: man 2 move_mount. */
export function attachMount(tree: OwnedFd, target: string): void {
  const from = ['int', tree.number, 'const char *', ''];
  const to = ['int', AT_FDCWD, 'const char *', target];
  checked(
    syscall(SYS_MOVE_MOUNT, ...from, ...to, 'uint', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS),
    `mount on ${JSON.stringify(target)}`,
  );
}
