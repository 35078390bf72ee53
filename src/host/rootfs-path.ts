import { lstatSync, readlinkSync } from 'node:fs';
import path from 'node:path';

/** As many symlinks as the kernel follows in one path (man 7 path_resolution). */
const MAX_LINKS = 40;

/**
 * Where an absolute path of the host lies inside the rootfs: what is left of it where its lookup enters the rootfs. Undefined for a
 * path that does not get there, or that climbs out again.
 *
 * The rest is not looked up: what is in a rootfs is the image's, and what a mount puts there comes later. `rootfs` has no symlinks.
 */
export function readRootfsPath(rootfs: string, hostPath: string): string | undefined {
  let rest = split(hostPath);
  let current = '/';
  let links = 0;
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    const next = name === '..' ? path.dirname(current) : path.join(current, name);
    const target = name === '..' ? undefined : readLink(next);
    if (target !== undefined) {
      if (++links > MAX_LINKS) return undefined;
      if (target.startsWith('/')) current = '/';
      rest = [...split(target), ...rest];
      continue;
    }
    current = next;
    if (current === rootfs && staysBelow(rest)) return `/${rest.join('/')}`;
  }
  return undefined;
}

function split(text: string): string[] {
  return text.split('/').filter((part) => part !== '' && part !== '.');
}

function staysBelow(parts: readonly string[]): boolean {
  let depth = 0;
  return parts.every((part) => (depth += part === '..' ? -1 : 1) >= 0);
}

function readLink(hostPath: string): string | undefined {
  try {
    return lstatSync(hostPath).isSymbolicLink() ? readlinkSync(hostPath) : undefined;
  } catch {
    // Missing, or not to be looked at: whoever opens the source says so.
    return undefined;
  }
}
