import { readFileSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { parseMountinfo } from '../../host/mountinfo.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { bindOverItself, detachMount, makePrivate } from '../../sys/mount.ts';
import { O_DIRECTORY, O_PATH } from '../../util/constants.ts';

/**
 * A mount of the rootfs over itself, for a container that has mounts and no mount namespace of its own: all that it mounts is below
 * this one, which takes it along when it is undone. Plain JSON.
 */
export interface RootfsCover {
  readonly rootfs: string;
  /** Id, as /proc/self/mountinfo has it, of the mount that the rootfs lies on without the cover. */
  readonly parent: number;
}

/** The reference to the cover that `coverRootfs` would make now, to be kept before it is made. Touches nothing. */
export function previewRootfsCover(rootfs: string): RootfsCover {
  using directory = openDirectory(rootfs);
  return { rootfs, parent: mountIdOf(directory) };
}

/** Errors: `host`, where tsrun may not mount; nothing is left then. */
export function coverRootfs({ rootfs }: RootfsCover): void {
  const shown = `rootfs ${JSON.stringify(rootfs)}, for mounts without a mount namespace`;
  using directory = openDirectory(rootfs);
  bindOverItself(directory, shown);
  // The same path leads onto the new mount now.
  using root = openDirectory(rootfs);
  try {
    makePrivate(root, shown);
  } catch (error) {
    detachMount(root, shown);
    throw error;
  }
}

/**
 * Undoes it, with every mount below. A cover that is not there (any more), or not in this mount namespace, is fine.
 *
 * Errors: `state` when somebody has mounted something over it.
 */
export function uncoverRootfs({ rootfs, parent }: RootfsCover): void {
  const mounts = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  const cover = mounts.find((mount) => mount.mountPoint === rootfs && mount.parent === parent);
  if (cover === undefined) return;
  const shown = JSON.stringify(rootfs);
  using root = openDirectory(rootfs);
  if (mountIdOf(root) !== cover.id) {
    throw new TsrunError('state', `unmount rootfs ${shown}: another mount covers the container's, unmount that first`);
  }
  detachMount(root, `rootfs ${shown}`);
}

function openDirectory(hostPath: string): OwnedFd {
  return openFile(hostPath, O_PATH | O_DIRECTORY);
}

/** Source: man 5 proc_pid_fdinfo. */
function mountIdOf({ number }: OwnedFd): number {
  const text = readFileSync(`/proc/self/fdinfo/${number}`, 'latin1');
  return Number(/^mnt_id:\s*(\d+)$/m.exec(text)?.[1]);
}
