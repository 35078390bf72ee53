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
  return follow([rootfs], rootfsPath).place;
}

/** Whether a place, as `placeInRootfs` tells it, is that of a directory or in it. */
export function isAtOrBelow(place: string, directory: string): boolean {
  return place === directory || place.startsWith(directory === '/' ? '/' : `${directory}/`);
}

/**
 * Where a path inside a rootfs leads when it goes through a symlink to something that is not there; undefined for every other path.
 *
 * Images have such links (`/var/lock -> /run/lock` before anything is in `/run`), and a mount point behind one is made where the
 * link points to. The answer is a path inside the rootfs without symlinks as they are now; nothing relies on its staying so, as it
 * is looked up below the root's handle again. `layers` are directories that lie over the rootfs, the uppermost first.
 */
export function readDanglingLink(
  rootfs: string,
  rootfsPath: string,
  layers: readonly string[] = [],
): string | undefined {
  const { place, missing } = follow([...layers, rootfs], rootfsPath);
  // What is behind a `..` below something that is not there nobody can say.
  return missing === undefined || missing.links === 0 || missing.rest.includes('..') ? undefined : place;
}

interface Followed {
  readonly place: string;
  /** The first that is not there: how many links led to it, and the names behind it. Undefined too where there are too many links. */
  readonly missing?: { readonly links: number; readonly rest: readonly string[] } | undefined;
}

function follow(layers: readonly string[], rootfsPath: string): Followed {
  let rest = split(rootfsPath);
  let current: string[] = [];
  let links = 0;
  let missing: Followed['missing'];
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === '..') {
      current.pop();
      continue;
    }
    const target = readLink(layers, [...current, name]);
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

type Found = { readonly to: string } | 'no link' | 'missing';

/** What the uppermost layer says that has anything to say. */
function readLink(layers: readonly string[], parts: readonly string[]): Found {
  if (layers.length === 1) return toFound(look(path.join(layers[0] ?? '', ...parts)));
  for (const layer of layers) {
    const found = lookBelow(layer, parts);
    if (found !== undefined) return toFound(found);
  }
  return 'missing';
}

/** A link to something, a directory, what hides whatever lies below it, or any other file; undefined: nothing. */
type Look = { readonly to: string } | 'directory' | 'whiteout' | 'file' | undefined;

function toFound(look: Look): Found {
  if (look === undefined || look === 'whiteout') return 'missing';
  return typeof look === 'object' ? look : 'no link';
}

/** Where one layer has a directory, a lower one may have a link, which leads to the host: each part is looked at. */
function lookBelow(layer: string, parts: readonly string[]): Look {
  let place = layer;
  for (const part of parts.slice(0, -1)) {
    place = path.join(place, part);
    const found = look(place);
    if (found !== 'directory') return found === undefined ? undefined : 'whiteout';
  }
  return look(path.join(place, parts.at(-1) ?? ''));
}

function look(hostPath: string): Look {
  try {
    const found = lstatSync(hostPath);
    if (found.isSymbolicLink()) return { to: readlinkSync(hostPath) };
    if (found.isDirectory()) return 'directory';
    return found.isCharacterDevice() && found.rdev === 0 ? 'whiteout' : 'file';
  } catch {
    // ENOENT, and ENOTDIR below a file: what is wrong with the latter is said when the mount point is made.
    return undefined;
  }
}
