import { accessSync, constants, readFileSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../errors.ts';
import type { CgroupHierarchy, CgroupLayout, UnifiedHierarchy } from '../plan/base/cgroup-layout.ts';
import { MountTable, parseMountinfo, type MountinfoEntry } from './mountinfo.ts';

/**
 * How cgroups are mounted for a process, from mountinfo and cgroup in its directory below /proc.
 *
 * Errors: `host` when they cannot be read.
 */
export function readCgroupLayout(proc: string): CgroupLayout {
  return readCgroupLayoutFrom(parseMountinfo(read(`${proc}/mountinfo`)), proc);
}

/** The same where the mounts are known. */
export function readCgroupLayoutFrom(mounts: readonly MountinfoEntry[], proc: string): CgroupLayout {
  return cgroupLayout(mounts, read(`${proc}/cgroup`), readControllers);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw TsrunError.of('host', `read the cgroup layout from ${JSON.stringify(path)}`, error);
  }
}

/**
 * Absolute path of the cgroup2 directory that a process is in, by its directory below /proc; undefined when it is gone, or in none
 * that `mounts` has.
 */
export function readUnifiedDirectory(directory: string, mounts: () => readonly MountinfoEntry[]): string | undefined {
  let layout: CgroupLayout;
  try {
    const membership = readFileSync(`${directory}/cgroup`, 'utf8');
    layout = cgroupLayout(mounts(), membership, () => []);
  } catch {
    // It has ended; whoever asked finds that out by other means.
    return undefined;
  }
  return layout.unified === undefined ? undefined : path.join(layout.unified.mountPoint, layout.unified.ownPath);
}

/** Those of some directories in which this process may make others. */
export function writablePlaces(hostPaths: readonly string[]): string[] {
  return hostPaths.filter(isWritable);
}

function isWritable(hostPath: string): boolean {
  try {
    accessSync(hostPath, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The layout from the text of both files; `readControllers` answers the controllers of a cgroup2 root by its mount point.
 *
 * Hierarchies without a mount are left out, and so are mounts that others hide.
 * Source: man 5 proc (mountinfo), man 7 cgroups (/proc/pid/cgroup).
 */
export function parseCgroupLayout(
  mountinfo: string,
  membership: string,
  readControllers: (mountPoint: string) => readonly string[],
): CgroupLayout {
  return cgroupLayout(parseMountinfo(mountinfo), membership, readControllers);
}

function cgroupLayout(
  entries: readonly MountinfoEntry[],
  membership: string,
  readControllers: (mountPoint: string) => readonly string[],
): CgroupLayout {
  const table = new MountTable(entries);
  const mounts = entries.filter((mount) => mount.type.startsWith('cgroup') && stays(mount) && table.isVisible(mount));
  const hierarchies: CgroupHierarchy[] = [];
  let unified: UnifiedHierarchy | undefined;
  for (const { controllers, path } of parseMembership(membership)) {
    const mount = chooseMount(
      mounts.filter((candidate) => carries(candidate, controllers)),
      path,
    );
    if (mount === undefined) continue;
    const { mountPoint } = mount;
    const ownPath = pathBelow(mount.root, path) ?? '/';
    if (controllers.length > 0) hierarchies.push({ controllers, mountPoint, ownPath });
    else unified = { mountPoint, ownPath, controllers: readControllers(mountPoint) };
  }
  const mode =
    unified === undefined ? (hierarchies.length === 0 ? 'none' : 'v1') : hierarchies.length === 0 ? 'v2' : 'hybrid';
  return { mode, hierarchies, ...(unified === undefined ? {} : { unified }) };
}

/** CRIU mounts hierarchies for itself, those too that nobody uses, for as long as it dumps something. */
function stays({ mountPoint }: MountinfoEntry): boolean {
  return !mountPoint.includes('/.criu.cgyard.');
}

/** Lines of /proc/PID/cgroup: `4:memory:/path`, `1:name=systemd:/path`, and for cgroup2 `0::/path` (no controllers). */
function parseMembership(text: string): { controllers: string[]; path: string }[] {
  const entries: { controllers: string[]; path: string }[] = [];
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    if (match === null) continue;
    const controllers = (match[1] ?? '').split(',').filter((name) => name !== '');
    entries.push({ controllers, path: match[2] ?? '/' });
  }
  return entries;
}

function carries(mount: MountinfoEntry, controllers: readonly string[]): boolean {
  if (controllers.length === 0) return mount.type === 'cgroup2';
  return mount.type === 'cgroup' && controllers.every((name) => mount.superOptions.includes(name));
}

/** The mount to work with when a hierarchy has several: one that shows our own cgroup, the one below /sys/fs/cgroup among those. */
function chooseMount(mounts: readonly MountinfoEntry[], ownPath: string): MountinfoEntry | undefined {
  const score = (mount: MountinfoEntry): number => {
    const usual = mount.mountPoint === '/sys/fs/cgroup' || mount.mountPoint.startsWith('/sys/fs/cgroup/');
    return (pathBelow(mount.root, ownPath) === undefined ? 0 : 2) + (usual ? 1 : 0);
  };
  return mounts.reduce<MountinfoEntry | undefined>((best, mount) => {
    return best === undefined || score(mount) > score(best) ? mount : best;
  }, undefined);
}

/**
 * `path` as seen below a mount that shows `root`: `/docker/abc` and `/docker/abc/x` give `/x`.
 *
 * Undefined when it is not below: a bind mount of another cgroup, or a process outside its cgroup namespace (`/../other`). The
 * layout then names the mount's root, the only cgroup that is certain to be there.
 */
function pathBelow(root: string, path: string): string | undefined {
  if (path.split('/').includes('..')) return undefined;
  if (root === '/') return path;
  if (path === root) return '/';
  return path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
}

function readControllers(mountPoint: string): string[] {
  try {
    const text = readFileSync(`${mountPoint}/cgroup.controllers`, 'utf8').trim();
    return text === '' ? [] : text.split(' ');
  } catch {
    // Covered by another mount or not readable: no controller can be used there.
    return [];
  }
}
