import { hasErrno } from '../../sys/errno.ts';
import { mountAt, unmountAt } from '../../sys/mount.ts';
import type { Mount } from '../wire/common.ts';
import { planMount } from './plan-mount.ts';

/** More than these on one place are a mistake of this program. */
const LAYERS_MAX = 64;

/** Makes the mounts that are the root file system of a bundle, in their order; when one fails there is none. Errors: `host`, `RpcError`. */
export function mountRootfs(target: string, mounts: readonly Mount[]): void {
  const planned = mounts.flatMap(planMount);
  try {
    for (const { directory, ...mount } of planned) {
      if (directory === undefined) mountAt(target, mount);
      else
        within(directory, () => {
          mountAt(target, mount);
        });
    }
  } catch (error) {
    unmountRootfs(target);
    throw error;
  }
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
