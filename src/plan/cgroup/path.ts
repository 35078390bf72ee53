import { TsrunError } from '../../errors.ts';
import type { CgroupLayout } from '../base/cgroup-layout.ts';

/** One cgroup of the container: a directory in one hierarchy. */
export interface CgroupDirectory {
  readonly kind: 'v1' | 'v2';
  /** Controllers of a v1 hierarchy (mounted together), or those that the cgroup2 root has. */
  readonly controllers: readonly string[];
  readonly mountPoint: string;
  /** Relative to the mount point, starting with `/`, never `/` itself. */
  readonly path: string;
}

/** A cgroup of the container by its absolute path, as a plan gives it for `create` and the state for `exec`. */
export interface JoinPlace {
  readonly kind: 'v1' | 'v2';
  readonly hostPath: string;
  /** A cgroup below it that is joined in its place, relative, without `..`. */
  readonly below?: string;
  /** A cgroup2 directory for when `hostPath` takes no processes, because it has handed its controllers on to the ones below. */
  readonly fallback?: string;
}

/** NAME_MAX of the cgroup file systems. */
const NAME_BYTES_MAX = 255;
/** PATH_MAX leaves no room for more, and a deeper tree is nobody's intention. */
const PATH_LENGTH_MAX = 3072;

/**
 * Where the container's cgroups lie in every mounted hierarchy (config-linux.md, "Cgroups Path").
 *
 * An absolute path counts from the mount point. A relative one counts from tsrun's own cgroup on v1, and from the parent of it on
 * v2, since a cgroup with processes (tsrun's own has one) cannot pass controllers on; runc does the same. An absent one is the
 * container's id as a relative path.
 *
 * Errors: `config` for a path that could leave its place or that the kernel does not take.
 */
export function planCgroupDirectories(input: {
  layout: CgroupLayout;
  cgroupsPath: string | undefined;
  id: string;
}): CgroupDirectory[] {
  const { layout } = input;
  const wanted = input.cgroupsPath === undefined || input.cgroupsPath === '' ? input.id : input.cgroupsPath;
  const names = splitCgroupPath(wanted);
  const below = (base: string): string => {
    const prefix = wanted.startsWith('/') ? [] : base.split('/').filter((name) => name !== '');
    return `/${[...prefix, ...names].join('/')}`;
  };
  const directories = layout.hierarchies.map(({ controllers, mountPoint, ownPath }): CgroupDirectory => {
    return { kind: 'v1', controllers, mountPoint, path: below(ownPath) };
  });
  if (layout.unified !== undefined) {
    const { controllers, mountPoint, ownPath } = layout.unified;
    directories.push({ kind: 'v2', controllers, mountPoint, path: below(parentOf(ownPath)) });
  }
  return directories;
}

/** The cgroups above one, outermost first: `/a/b` -> `['/', '/a']`. */
export function ancestorsOf(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '');
  return names.map((_, index) => `/${names.slice(0, index).join('/')}`);
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

/** Names of a cgroupsPath. `..` is refused rather than resolved: nobody who means well needs it (crun refuses it too). */
function splitCgroupPath(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  const wanted = wantedPath(path, names);
  if (wanted === undefined) return names;
  const pointer = '/linux/cgroupsPath';
  const message = `is ${JSON.stringify(path)}, wanted ${wanted}`;
  throw new TsrunError('config', `choose a cgroup: ${pointer}: ${message}`, { issues: [{ pointer, message }] });
}

/** What a path would have to be; undefined for one that is. */
function wantedPath(path: string, names: readonly string[]): string | undefined {
  if (names.length === 0) return 'a cgroup below the root cgroup';
  if (names.includes('..')) return 'a path without ".."';
  // The kernel refuses a line feed too, because /proc/<pid>/cgroup could no longer be read.
  if (/[\0\n]/.test(path)) return 'a path without NUL and line feed';
  if (path.length > PATH_LENGTH_MAX) return `at most ${PATH_LENGTH_MAX} characters`;
  if (names.some((name) => encodeURIComponent(name.toWellFormed()).replaceAll(/%../g, 'x').length > NAME_BYTES_MAX)) {
    return `names of at most ${NAME_BYTES_MAX} bytes`;
  }
  return undefined;
}
