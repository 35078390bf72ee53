import { statSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import { MountTable, parseMountinfo } from '../host/mountinfo.ts';
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
  readonly #table: MountTable;
  readonly #hasSlow: boolean;

  /** `mountinfo` is the text of the file of this name. */
  constructor(mountinfo: string) {
    const mounts = parseMountinfo(mountinfo);
    this.#table = new MountTable(mounts);
    // What is on /proc alone is there on every machine, and nobody has a bundle there.
    this.#hasSlow = mounts.some(({ type }) => SLOW.test(type));
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
    if (!this.#hasSlow) return;
    const mount = this.#table.find(path);
    if (mount !== undefined && SLOW.test(mount.type)) throw new GoCold('filesystem');
  }
}
