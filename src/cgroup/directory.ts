import { lstatSync, mkdirSync, readdirSync, rmdirSync, statfsSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import type { CgroupReferenceDirectory } from './cgroup.ts';
import { cgroupError, errnoOf } from './control-file.ts';

type CgroupKind = CgroupReferenceDirectory['kind'];

/** With f_type of statfs(2). Source: include/uapi/linux/magic.h. */
const FILE_SYSTEMS: Readonly<Record<CgroupKind, { readonly name: string; readonly type: number }>> = {
  v1: { name: 'cgroup', type: 0x27e0eb },
  v2: { name: 'cgroup2', type: 0x63677270 },
};

/** How often a tree is walked again when somebody removes a cgroup above ours at the same moment. */
const WALKS_MAX = 3;
/** Depth of cgroups made inside a container that is followed; the kernel's own limit is what the container may set. */
const DEPTH_MAX = 64;

/** A cgroup of the container in one hierarchy, with what tsrun made on the way to it. */
export interface EnsuredDirectory {
  readonly hostPath: string;
  /** Absolute paths of directories that did not exist before, deepest first. */
  readonly made: readonly string[];
}

/**
 * Makes a cgroup and the ones above it, or finds them.
 *
 * Nothing is made unless the mount point is a cgroup file system, and every directory on the way must lie on that same one: a plain
 * directory that merely looks like a controller, and a mount inside the hierarchy, are refused.
 *
 * Errors: `cgroup`; what was made before the error is removed again.
 */
export function ensureDirectory(directory: { kind: CgroupKind; mountPoint: string; path: string }): EnsuredDirectory {
  verifyMount(directory);
  return ensurePath(directory);
}

/** Makes or finds the directories of a path, all on the file system of the mount point. Errors as `ensureDirectory`. */
export function ensurePath({ mountPoint, path }: { mountPoint: string; path: string }): EnsuredDirectory {
  const made: string[] = [];
  for (let walk = 1; ; walk++) {
    try {
      let hostPath = mountPoint;
      for (const name of namesOf(path)) {
        if (name === '..' || name === '.') throw new Error(`bug: ${JSON.stringify(name)} in a planned cgroup path`);
        hostPath = `${hostPath}/${name}`;
        if (makeOrFind(hostPath, mountPoint)) made.unshift(hostPath);
      }
      return { hostPath, made };
    } catch (error) {
      // Whoever made an empty cgroup above ours may have removed it between two of our steps.
      if (errnoOf(error) === 'ENOENT' && walk < WALKS_MAX) continue;
      removeEmpty(made);
      if (error instanceof TsrunError) throw error;
      throw cgroupError(`make cgroup ${JSON.stringify(`${mountPoint}${path}`)}`, error);
    }
  }
}

/** What `ensureDirectory` would answer now. Touches nothing. */
export function foreseeDirectory({ mountPoint, path }: { mountPoint: string; path: string }): EnsuredDirectory {
  const names = namesOf(path);
  const paths = names.map((_, index) => `${mountPoint}/${names.slice(0, index + 1).join('/')}`);
  const made = paths.filter((one) => lstatSync(one, { throwIfNoEntry: false }) === undefined);
  return { hostPath: `${mountPoint}${path}`, made: made.reverse() };
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '');
}

/** Errors: `cgroup` when the path is not the root of a cgroup file system of this kind. */
export function verifyMount({ kind, mountPoint }: { kind: CgroupKind; mountPoint: string }): void {
  let found: number;
  try {
    found = statfsSync(mountPoint).type;
  } catch (error) {
    throw cgroupError(`look at cgroup mount ${JSON.stringify(mountPoint)}`, error);
  }
  refuseOtherType(mountPoint, { kind, found });
}

/** `found` is f_type of statfs(2). Errors: `cgroup` when it is that of another file system. */
export function refuseOtherType(mountPoint: string, { kind, found }: { kind: CgroupKind; found: number }): void {
  const { name, type } = FILE_SYSTEMS[kind];
  if (found === type) return;
  throw new TsrunError(
    'cgroup',
    `use ${JSON.stringify(mountPoint)} as a cgroup hierarchy: it is of type 0x${found.toString(16)}, wanted file system ${name} (0x${type.toString(16)})`,
  );
}

/** Answers true when the directory was made: it lies on the file system of the one above it then. */
function makeOrFind(hostPath: string, mountPoint: string): boolean {
  try {
    mkdirSync(hostPath, 0o755);
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
  const found = lstatSync(hostPath);
  if (found.isDirectory() && found.dev === lstatSync(mountPoint).dev) return false;
  const what = found.isDirectory() ? 'another file system' : 'no directory';
  throw new TsrunError(
    'cgroup',
    `use cgroup ${JSON.stringify(hostPath)}: it is ${what}, wanted a cgroup of the same hierarchy`,
  );
}

/** Removes directories, deepest first, as long as nobody else uses them. */
export function removeEmpty(paths: readonly string[]): void {
  for (const path of paths) {
    try {
      rmdirSync(path);
    } catch (error) {
      // In use by others: it is no longer ours to remove.
      if (errnoOf(error) !== 'ENOENT') return;
    }
  }
}

/**
 * Removes a cgroup with all cgroups inside it, once.
 *
 * Shape: true when it is gone (also when it was not there), false when something in it is still in use (EBUSY).
 * Errors: those of node:fs.
 */
export function removeTree(hostPath: string, depth = 0): boolean {
  try {
    rmdirSync(hostPath);
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return true;
    if (errno !== 'EBUSY' && errno !== 'ENOTEMPTY') throw error;
  }
  if (depth >= DEPTH_MAX) return false;
  for (const child of listChildren(hostPath)) removeTree(child, depth + 1);
  try {
    rmdirSync(hostPath);
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return true;
    if (errno === 'EBUSY' || errno === 'ENOTEMPTY') return false;
    throw error;
  }
}

/** Absolute paths of the cgroups directly below one; none when it is gone. */
export function listChildren(hostPath: string): string[] {
  try {
    const entries = readdirSync(hostPath, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => `${hostPath}/${entry.name}`);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** A cgroup and all below it, absolute paths, outermost first. */
export function listTree(hostPath: string, depth = 0): string[] {
  if (depth > DEPTH_MAX) return [];
  return [hostPath, ...listChildren(hostPath).flatMap((child) => listTree(child, depth + 1))];
}
