import { mkdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { realPath } from '../../host/real-path.ts';
import { readDescriptorInfo } from '../../sys/descriptor-info.ts';
import { openFile } from '../../sys/file.ts';
import { makePrivate, mountAt, unmountAt } from '../../sys/mount.ts';
import { O_DIRECTORY } from '../../sys/open-flags.ts';
import { MS_BIND, MS_REC, O_PATH } from '../../util/constants.ts';
import { uncoverRootfs } from '../build/rootfs-cover.ts';
import type { Caller } from '../caller/caller.ts';
import type { StateDirectory } from '../store/directory.ts';
import type { RootfsCover } from '../store/record.ts';

const NAME = 'criu-root';

/**
 * Where the rootfs is going to be mounted for CRIU, which wants a mount that nothing covers: the directory for it, and the reference by
 * which it is found again. Errors: `state`.
 */
export function makeRestoreRoot(directory: StateDirectory): RootfsCover {
  try {
    const parent = realPath(directory.path);
    const rootfs = path.join(parent, NAME);
    mkdirSync(directory.file(NAME), { mode: 0o700 });
    using below = openFile(parent, O_PATH | O_DIRECTORY);
    return { rootfs, parent: readDescriptorInfo(below.number, 'mnt_id') };
  } catch (error) {
    throw TsrunError.of('state', `make a mount point in ${JSON.stringify(directory.path)}`, error);
  }
}

/** Undoes both. Errors: `state`. */
export function removeRestoreRoot(cover: RootfsCover, { directory, caller }: RestoreRootOf): void {
  uncoverRootfs(cover, caller);
  rmdirSync(directory.file(NAME));
}

/** Whose it is. */
export interface RestoreRootOf {
  readonly directory: StateDirectory;
  readonly caller: Caller;
}

/** Mounts a rootfs there. Errors: `host`; nothing is left then. */
export function mountRestoreRoot({ rootfs: target }: RootfsCover, rootfs: string): void {
  mountAt(target, { type: '', source: rootfs, flags: MS_BIND | MS_REC, data: '' });
  try {
    using root = openFile(target, O_PATH | O_DIRECTORY);
    makePrivate(root, `rootfs ${JSON.stringify(rootfs)}`);
  } catch (error) {
    unmountAt(target);
    throw error;
  }
}
