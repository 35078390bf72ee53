import { hasErrno } from '../../sys/errno.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { openFile, openInRoot } from '../../sys/file.ts';
import { attachLoopDevice } from '../../sys/loop-device.ts';
import { mountAt, unmountAt } from '../../sys/mount.ts';
import { O_DIRECTORY, O_NOFOLLOW } from '../../sys/open-flags.ts';
import { MS_RDONLY, O_PATH } from '../../util/constants.ts';
import type { Mount } from '../wire/common.ts';
import { planMount, type PlannedMount } from './plan-mount.ts';

/** More than these on one place are a mistake of this program. */
const LAYERS_MAX = 64;

/** Makes the mounts that are the root file system of a bundle, in their order; when one fails there is none. Errors: `host`, `RpcError`. */
export function mountRootfs(target: string, mounts: readonly Mount[]): void {
  const planned = mounts.flatMap(planMount);
  try {
    for (const mount of planned) mountOne(target, mount);
  } catch (error) {
    unmountRootfs(target);
    throw error;
  }
}

function mountOne(rootfs: string, { directory, target, isImage, ...mount }: PlannedMount): void {
  const device =
    isImage === true ? attachLoopDevice(mount.source, { isReadOnly: (mount.flags & MS_RDONLY) !== 0 }) : undefined;
  using _device = device?.fd;
  using place = target === undefined ? undefined : openBelow(rootfs, target);
  const at = place === undefined ? rootfs : descriptorPath(place.number);
  const source = device === undefined ? mount.source : device.path;
  const make = (): void => {
    mountAt(at, { ...mount, source });
  };
  if (directory === undefined) make();
  else within(directory, make);
}

/** What is mounted there already may belong to whoever made the image: its links lead nowhere else. */
function openBelow(rootfs: string, target: string): OwnedFd {
  using root = openFile(rootfs, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  return openInRoot(root, target);
}

/** Unmounts all that is mounted at a place. Errors: `host`. */
export function unmountRootfs(target: string): void {
  try {
    for (let count = 0; count < LAYERS_MAX; count += 1) unmountAt(target);
  } catch (error) {
    // Nothing is mounted there (any more).
    if (!hasErrno(error, 'EINVAL', 'ENOENT')) throw error;
  }
}

/** Nothing else runs meanwhile; a shim's working directory is the root. */
function within(directory: string, body: () => void): void {
  process.chdir(directory);
  try {
    body();
  } finally {
    process.chdir('/');
  }
}
