import { lstatSync, readlinkSync } from 'node:fs';
import path from 'node:path';

/** As many symlinks as the kernel follows in one path (man 7 path_resolution). */
const MAX_LINKS = 40;

/**
 * Where a path of a container leads in its rootfs, without what is mounted there: absolute, by the symlinks of the rootfs. What is not
 * there is taken as it is written.
 *
 * It is a name to find a mount by and nothing to open: who may write to the rootfs changes it at will.
 */
export function placeInRootfs(rootfs: string, rootfsPath: string): string {
  return follow(rootfs, rootfsPath).place;
}

/**
 * Where a path inside a rootfs leads when it goes through a symlink to something that is not there; undefined for every other path.
 *
 * Images have such links (`/var/lock -> /run/lock` before anything is in `/run`), and a mount point behind one is made where the
 * link points to. The answer is a path inside the rootfs without symlinks as they are now; nothing relies on its staying so, as it
 * is looked up below the root's handle again.
 */
export function readDanglingLink(rootfs: string, rootfsPath: string): string | undefined {
  const { place, missing } = follow(rootfs, rootfsPath);
  // What is behind a `..` below something that is not there nobody can say.
  return missing === undefined || missing.links === 0 || missing.rest.includes('..') ? undefined : place;
}

interface Followed {
  readonly place: string;
  /** The first that is not there: how many links led to it, and the names behind it. Undefined too where there are too many links. */
  readonly missing?: { readonly links: number; readonly rest: readonly string[] } | undefined;
}

function follow(rootfs: string, rootfsPath: string): Followed {
  let rest = split(rootfsPath);
  let current: string[] = [];
  let links = 0;
  let missing: Followed['missing'];
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === '..') {
      current.pop();
      continue;
    }
    const target = readLink(path.join(rootfs, ...current, name));
    if (typeof target === 'string') {
      if (target === 'missing') missing ??= { links, rest: [...rest] };
      current.push(name);
      continue;
    }
    if (++links > MAX_LINKS) return { place: `/${[...current, name, ...rest].join('/')}` };
    if (target.to.startsWith('/')) current = [];
    rest = [...split(target.to), ...rest];
  }
  return { place: `/${current.join('/')}`, missing };
}

function split(text: string): string[] {
  return text.split('/').filter((part) => part !== '' && part !== '.');
}

function readLink(hostPath: string): { to: string } | 'no link' | 'missing' {
  try {
    return lstatSync(hostPath).isSymbolicLink() ? { to: readlinkSync(hostPath) } : 'no link';
  } catch {
    // ENOENT, and ENOTDIR below a file: what is wrong with the latter is said when the mount point is made.
    return 'missing';
  }
}
