import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../errors.ts';
import type { BundleFacts, SourceKind } from '../plan/facts.ts';
import { readDanglingLink } from './dangling-links.ts';
import { mountPointOf, parseMountinfo } from './mountinfo.ts';
import { realPath } from './real-path.ts';
import { words } from '../util/words.ts';

/** The places to look at; see `planLookups`. */
interface Places {
  readonly rootfs: string;
  readonly sources: readonly string[];
  readonly destinations: readonly string[];
  readonly namespaces: readonly string[];
}

/**
 * Looks at the places of the host that a config names: the rootfs, the sources of bind mounts, the namespaces to join.
 *
 * `bundle` is absolute, symlinks resolved. Errors: `bundle` when the rootfs is missing or no directory.
 */
export function readBundleFacts(bundle: string, places: Places): BundleFacts {
  const rootfs = readRootfs(path.resolve(bundle, places.rootfs));
  const mounts = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  const resctrl = mounts.find(({ type }) => type === 'resctrl');
  return {
    bundle,
    rootfs,
    ...(resctrl === undefined ? {} : { resctrl: resctrl.mountPoint }),
    rootfsMountPoint: mountPointOf(mounts, rootfs),
    sources: Object.fromEntries(places.sources.map((source) => [source, kindOf(source)])),
    danglingLinks: Object.fromEntries(
      places.destinations.flatMap((destination) => {
        const target = readDanglingLink(rootfs, destination);
        return target === undefined ? [] : [[destination, target]];
      }),
    ),
    namespaces: Object.fromEntries(places.namespaces.map((file) => [file, inodeOf(file)])),
  };
}

function readRootfs(wanted: string): string {
  const shown = JSON.stringify(wanted);
  try {
    const resolved = realPath(wanted);
    if (!statSync(resolved).isDirectory()) {
      throw new TsrunError('bundle', `invalid rootfs: ${shown} is ${words.ENOTDIR} (/root/path of config.json)`);
    }
    return resolved;
  } catch (error) {
    if (error instanceof TsrunError) throw error;
    const errno = (error as NodeJS.ErrnoException).code ?? 'EIO';
    const what = errno === 'ENOENT' ? words.ENOENT : errno;
    throw new TsrunError('bundle', `invalid rootfs: ${shown}: ${what} (/root/path of config.json)`, {
      errno,
      cause: error,
    });
  }
}

function kindOf(source: string): SourceKind {
  try {
    return statSync(source).isDirectory() ? 'directory' : 'file';
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code;
    // Magic links of /proc (a namespace, a descriptor) are found although they resolve to no path; so only these count as missing.
    return errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ENXIO' ? 'missing' : 'file';
  }
}

function inodeOf(file: string): string {
  try {
    return String(statSync(file, { bigint: true }).ino);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'EIO';
    if (errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ESRCH') return 'missing';
    throw new TsrunError('bundle', `look at namespace ${JSON.stringify(file)}: ${errno}`, { errno, cause: error });
  }
}
