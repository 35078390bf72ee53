import { statSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import type { HostView } from '../host/host-view.ts';
import { MountTable, type MountinfoEntry } from '../host/mountinfo.ts';
import type { Config } from '../spec/generated/config.ts';
import { readOverlay, type OverlaySettings } from '../spec/overlay.ts';
import { hasErrno } from '../sys/errno.ts';
import { descriptorPath } from '../sys/fd.ts';
import { openWithoutMagicLinks } from '../sys/file.ts';
import { GoCold } from './reasons.ts';

/** A configuration that takes longer to read than others wait. */
export const CONFIG_LIMIT_BYTES = 256 * 1024;

/** File systems on which a look may take as long as another machine, or another process, likes; or that show each process its own. */
const SLOW =
  /^(nfs|nfs4|cifs|smb3|9p|afs|ceph|fuse|fuseblk|autofs|proc|virtiofs|coda|lustre|gfs2|ocfs2|glusterfs)$|^fuse\./;

/** Where the caller's paths are looked up; what is on a slow file system is left to the caller. */
export class Paths {
  readonly #host: HostView;
  #known: KnownMounts | undefined;

  constructor(host: HostView) {
    this.#host = host;
  }

  /**
   * A file or directory of the caller that can be looked at without waiting for anybody; one that is missing is as well. Errors: `GoCold`
   * for links that mean a process, such as /dev/fd, for what is neither file nor directory, and for a file above the limit.
   */
  require(path: string, { limitBytes = Infinity }: { readonly limitBytes?: number } = {}): void {
    this.requireFast(path);
    try {
      using found = openWithoutMagicLinks(path);
      const stat = statSync(descriptorPath(found.number));
      if (!stat.isFile() && !stat.isDirectory()) throw new GoCold('path');
      if (stat.isFile() && stat.size > limitBytes) throw new GoCold('path');
    } catch (error) {
      if (error instanceof GoCold) throw error;
      if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ENAMETOOLONG')) return;
      if (error instanceof TsrunError) throw new GoCold('path', { cause: error });
      throw error;
    }
  }

  /** Without a look at the file itself. Errors: `GoCold`. */
  requireFast(path: string): void {
    const mount = this.#table().find(path);
    if (mount !== undefined && SLOW.test(mount.type)) throw new GoCold('filesystem');
  }

  /** What is looked at when a container is made. Errors: `GoCold`. */
  requireSources({ mounts = [], annotations }: Config, rootfs: string): void {
    this.requireFast(rootfs);
    const overlay = readOverlay(annotations);
    if (typeof overlay === 'object') this.requireLayers(overlay);
    for (const { source } of mounts) if (source?.startsWith('/') === true) this.requireFast(source);
  }

  /** Where a layer is, and over what it lies. Errors: `GoCold`. */
  requireLayers({ directory, lowers }: OverlaySettings): void {
    for (const path of directory === undefined ? lowers : [directory, ...lowers]) this.requireFast(path);
  }

  #table(): MountTable {
    const mounts = this.#host.mounts();
    if (this.#known?.mounts !== mounts) this.#known = { mounts, table: new MountTable(mounts) };
    return this.#known.table;
  }
}

interface KnownMounts {
  readonly mounts: readonly MountinfoEntry[];
  readonly table: MountTable;
}
