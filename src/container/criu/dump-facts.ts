import { fstatSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { readMounts } from '../../host/mountinfo.ts';
import { placeInRootfs } from '../../host/links-in-rootfs.ts';
import type { DumpFacts } from '../../plan/checkpoint/dump.ts';
import {
  EXTERNAL_NAMESPACES,
  externalDestinations,
  maskedPaths,
  outsideFileKey,
} from '../../plan/checkpoint/external.ts';
import type { Config } from '../../spec/generated/config.ts';
import { hasErrno } from '../../sys/errno.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { openFile, openInRoot } from '../../sys/file.ts';
import { O_DIRECTORY } from '../../sys/open-flags.ts';
import { O_PATH } from '../../util/constants.ts';
import type { CgroupReference } from '../../cgroup/cgroup.ts';
import type { ContainerRecord } from '../store/record.ts';

/** A container that runs, and the process that it is known by. */
export interface Dumped {
  readonly record: ContainerRecord;
  readonly config: Config;
  readonly pid: number;
  readonly isPaused: boolean;
}

/** Looks at what is to be saved. Errors: `host`, `not-found`. */
export function readDumpFacts({ record, config, pid, isPaused }: Dumped): DumpFacts {
  const proc = `/proc/${pid}`;
  using root = openFile(`${proc}/root`, O_PATH | O_DIRECTORY);
  const places = externalDestinations(config).flatMap((destination) => {
    const inside = placeInside(root, destination)?.path;
    return inside === undefined ? [] : [[destination, { inside, inRootfs: placeInRootfs(record.rootfs, destination) }]];
  });
  const masked = maskedPaths(config).flatMap((path) => placeInside(root, path) ?? []);
  const freezer = findFreezer(record.cgroup, isPaused);
  return {
    pid,
    rootfs: record.rootfs,
    places: Object.fromEntries(places) as DumpFacts['places'],
    maskedFiles: masked.filter(({ isDirectory }) => !isDirectory).map(({ path }) => path),
    cgroupMounts: readMounts(proc).flatMap(({ type, mountPoint }) => (/^cgroup2?$/.test(type) ? [mountPoint] : [])),
    descriptors: readStandardDescriptors(proc),
    namespaces: Object.fromEntries(
      Object.values(EXTERNAL_NAMESPACES).map((name) => [name, inodeOf(readlinkSync(`${proc}/ns/${name}`))]),
    ),
    ...(freezer !== undefined && { freezer }),
  };
}

/** What a standard descriptor of the program is: what readlink(2) says of it, or the name of a FIFO that the container does not have. */
function readStandardDescriptors(proc: string): string[] {
  const mounts = new Set(readMounts(proc).map(({ id }) => id));
  return [0, 1, 2].map((fd) => {
    try {
      const link = readlinkSync(`${proc}/fd/${fd}`);
      const found = statSync(`${proc}/fd/${fd}`, { bigint: true });
      const [, mountId] = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`${proc}/fdinfo/${fd}`, 'latin1')) ?? [];
      const isOutside = link.startsWith('/') && found.isFIFO() && mountId !== undefined && !mounts.has(Number(mountId));
      return isOutside ? outsideFileKey(Number(mountId), found.ino) : link;
    } catch {
      // The program has closed it.
      return '';
    }
  });
}

/** Where a path leads in the container; undefined where nothing is. */
function placeInside(
  root: OwnedFd,
  path: string,
): { readonly path: string; readonly isDirectory: boolean } | undefined {
  try {
    using handle = openInRoot(root, path);
    const isDirectory = fstatSync(handle.number).isDirectory();
    return { path: readlinkSync(descriptorPath(handle.number)), isDirectory };
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES')) return undefined;
    throw error;
  }
}

function inodeOf(link: string): string {
  return /\[(\d+)\]$/.exec(link)?.[1] ?? '';
}

/** A container that is paused is so by one of two; otherwise CRIU has the one of v1, which it has always known. */
function findFreezer({ directories }: CgroupReference, isPaused: boolean): DumpFacts['freezer'] {
  const v1 = directories.find(({ kind, controllers }) => kind === 'v1' && controllers.includes('freezer'));
  const v2 = directories.find(({ kind }) => kind === 'v2');
  return isPaused ? (v2 ?? v1) : (v1 ?? v2);
}
