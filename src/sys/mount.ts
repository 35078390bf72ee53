import { MNT_DETACH, MS_BIND, MS_PRIVATE, MS_REC } from '../util/constants.ts';
import { checked } from './errno.ts';
import type { OwnedFd } from './fd.ts';
import { bindLibc } from './library.ts';

const mountCall = bindLibc(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)',
);
const umountCall = bindLibc('int umount2(const char *target, int flags)');

/** Mounts a directory, with all that is mounted below it, over itself. Errors: `host`. Source: man 2 mount. */
export function bindOverItself(directory: OwnedFd, shown: string): void {
  const self = handlePath(directory);
  checked(mountCall(self, self, null, MS_BIND | MS_REC, null), `mount ${shown} over itself`);
}

/** Cuts a mount and those below it off from every other. The descriptor is one of its root. Errors: `host`. */
export function makePrivate(root: OwnedFd, shown: string): void {
  checked(mountCall(null, handlePath(root), null, MS_PRIVATE | MS_REC, null), `make the mount on ${shown} private`);
}

/** Takes a mount, with those below it, out of sight at once; it ends when nobody uses it any more. Errors: `host`. Source: man 2 umount2. */
export function detachMount(root: OwnedFd, shown: string): void {
  checked(umountCall(handlePath(root), MNT_DETACH), `unmount ${shown}`);
}

function handlePath({ number }: OwnedFd): string {
  return `/proc/self/fd/${number}`;
}
