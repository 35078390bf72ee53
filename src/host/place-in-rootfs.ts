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
  let rest = split(rootfsPath);
  let current: string[] = [];
  let links = 0;
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === '..') {
      current.pop();
      continue;
    }
    const target = links < MAX_LINKS ? readLink(path.join(rootfs, ...current, name)) : undefined;
    if (target === undefined) {
      current.push(name);
      continue;
    }
    links += 1;
    if (target.startsWith('/')) current = [];
    rest = [...split(target), ...rest];
  }
  return `/${current.join('/')}`;
}

function split(text: string): string[] {
  return text.split('/').filter((part) => part !== '' && part !== '.');
}

function readLink(hostPath: string): string | undefined {
  try {
    return lstatSync(hostPath).isSymbolicLink() ? readlinkSync(hostPath) : undefined;
  } catch {
    return undefined;
  }
}
