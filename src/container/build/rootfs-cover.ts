import { readFileSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { parseMountinfo } from '../../host/mountinfo.ts';
import { readDescriptorInfo } from '../../sys/descriptor-info.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { bindOverItself, detachMount, makePrivate } from '../../sys/mount.ts';
import { O_DIRECTORY } from '../../sys/open-flags.ts';
import { O_PATH } from '../../util/constants.ts';
import type { Caller } from '../caller/caller.ts';
import type { RootfsCover } from '../store/record.ts';

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
 * Undoes it, with every mount below. A cover that is not there (any more), or not in the caller's mount namespace, is fine.
 *
 * Errors: `state` when somebody has mounted something over it.
 */
export function uncoverRootfs({ rootfs, parent }: RootfsCover, { proc }: Pick<Caller, 'proc'>): void {
  const mounts = parseMountinfo(readFileSync(`${proc}/mountinfo`, 'utf8'));
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

function mountIdOf({ number }: OwnedFd): number {
  return readDescriptorInfo(number, 'mnt_id');
}
