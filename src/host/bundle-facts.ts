import { readlinkSync, statSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import type { BundleFacts, SourceKind } from '../plan/base/facts.ts';
import { readDanglingLink } from './links-in-rootfs.ts';
import { findDevices } from './devices.ts';
import { realPath } from './real-path.ts';
import { readRootfsPath } from './rootfs-path.ts';
import { MountTable, type MountinfoEntry } from './mountinfo.ts';
import { wording } from '../util/wording.ts';

/** The places to look at; see `planLookups`. */
interface Places {
  readonly sources: readonly string[];
  readonly links: readonly string[];
  readonly destinations: readonly string[];
  readonly devices: readonly { readonly key: string; readonly path: string }[];
  readonly namespaces: readonly string[];
}

/** Where a bundle lies, and the mounts of the mount namespace that it is in. */
export interface BundlePlaces {
  readonly bundle: string;
  readonly rootfs: string;
  /** Directories that lie over the rootfs, the uppermost first. */
  readonly lowers: readonly string[];
  readonly mounts: readonly MountinfoEntry[];
}

/**
 * Looks at the places of the host that a config names: the rootfs, the sources of bind mounts, the namespaces to join.
 *
 * `bundle` is absolute, symlinks resolved, and so is `rootfs`, see `resolveRootfs`.
 */
export function readBundleFacts({ bundle, rootfs, lowers, mounts }: BundlePlaces, places: Places): BundleFacts {
  const table = new MountTable(mounts);
  const resctrl = mounts.find((mount) => mount.type === 'resctrl' && table.isVisible(mount));
  return {
    bundle,
    rootfs,
    ...(resctrl === undefined ? {} : { resctrl: resctrl.mountPoint }),
    rootfsMountPoint: table.find(rootfs)?.mountPoint ?? '/',
    sources: Object.fromEntries(places.sources.map((source) => [source, kindOf(source)])),
    inRootfs: collect(places.sources, (source) => readRootfsPath(rootfs, source)),
    links: collect(places.links, readLink),
    danglingLinks: collect(places.destinations, (destination) => readDanglingLink(rootfs, destination, lowers)),
    ...(places.devices.length === 0 ? {} : { devices: findDevices(places.devices) }),
    namespaces: Object.fromEntries(places.namespaces.map((file) => [file, inodeOf(file)])),
  };
}

/** Shape: the names for which `look` finds something -> what it finds. */
function collect(names: readonly string[], look: (name: string) => string | undefined): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const found = look(name);
      return found === undefined ? [] : [[name, found]];
    }),
  );
}

/** The text of a symlink; undefined for everything else. */
function readLink(hostPath: string): string | undefined {
  try {
    return readlinkSync(hostPath);
  } catch {
    // EINVAL: no symlink. What is missing is found out by looking at the source itself.
    return undefined;
  }
}

/** Absolute path of a rootfs, symlinks resolved. Errors: `bundle` when it is missing or no directory. */
export function resolveRootfs(wanted: string): string {
  const shown = JSON.stringify(wanted);
  try {
    const resolved = realPath(wanted);
    if (!statSync(resolved).isDirectory()) {
      throw new TsrunError('bundle', `invalid rootfs: ${shown} is ${wording.ENOTDIR}`, { pointer: '/root/path' });
    }
    return resolved;
  } catch (error) {
    if (error instanceof TsrunError) throw error;
    const errno = (error as NodeJS.ErrnoException).code ?? 'EIO';
    const what = errno === 'ENOENT' ? wording.ENOENT : errno;
    const details = { errno, cause: error, pointer: '/root/path' };
    throw new TsrunError('bundle', `invalid rootfs: ${shown}: ${what}`, details);
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
    const errno = (error as NodeJS.ErrnoException).code;
    if (errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ESRCH') return 'missing';
    throw TsrunError.of('bundle', `look at namespace ${JSON.stringify(file)}`, error);
  }
}
