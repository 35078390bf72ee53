import { statSync } from 'node:fs';
import path from 'node:path';
import type { TsrunError } from '../../errors.ts';
import { isAtOrBelow, placeInRootfs } from '../../host/links-in-rootfs.ts';
import type { Config, IdMapping, Process } from '../../spec/generated/config.ts';
import { remedies } from '../../util/remedies.ts';

/** Where a container, or a process in it, could not enter a directory. */
export interface Entering {
  readonly config: Config;
  /** What was to run; default: that of the config. */
  readonly process?: Process | undefined;
  /** Absolute, symlinks resolved. */
  readonly rootfs: string;
  /** Absolute: what relative sources are relative to. */
  readonly bundle: string;
  /** Who acts where no user namespace says otherwise. */
  readonly identity: { readonly euid: number; readonly egid: number };
}

interface User {
  readonly uid: number;
  readonly gids: readonly number[];
}

/**
 * Names the directory that a user may not enter on the way to the rootfs, the source of a bind mount, or the working directory: the root
 * of a user namespace is somebody else there. By the bits of its mode alone; where they say nothing, neither does this.
 */
export function explainEntering(failure: TsrunError, entering: Entering): TsrunError {
  if (failure.errno !== 'EACCES' || failure.pointer === undefined) return failure;
  const { config, rootfs, bundle } = entering;
  if (failure.pointer === '/root/path') return nameClosed(failure, waysTo(rootfs), rootOf(entering));
  const index = /^\/mounts\/(\d+)\/source$/.exec(failure.pointer)?.[1];
  const source = config.mounts?.[Number(index)]?.source;
  // What is bound itself need not be entered.
  if (source !== undefined)
    return nameClosed(failure, waysTo(path.dirname(path.resolve(bundle, source))), rootOf(entering));
  return failure.pointer === '/process/cwd' ? explainCwd(failure, entering) : failure;
}

/** It is made and entered as root first, and entered as the user of the program in the end. */
function explainCwd(failure: TsrunError, entering: Entering): TsrunError {
  const { config, rootfs } = entering;
  const { process = config.process } = entering;
  if (process === undefined) return failure;
  const place = placeInRootfs(rootfs, process.cwd);
  const isCovered = config.mounts?.some(({ destination }) => isAtOrBelow(place, placeInRootfs(rootfs, destination)));
  if (isCovered === true) return failure;
  const { uid = 0, gid = 0, additionalGids = [] } = process.user ?? {};
  const user = failure.code === 'program' ? usersOf(entering, uid, [gid, ...additionalGids]) : rootOf(entering);
  return nameClosed(failure, waysTo(path.join(rootfs, place)), user, rootfs);
}

function rootOf(entering: Entering): User {
  const { linux } = entering.config;
  if (linux?.uidMappings === undefined) return { uid: entering.identity.euid, gids: [entering.identity.egid] };
  return usersOf(entering, 0, [0]);
}

/** As the host has them. */
function usersOf({ config: { linux } }: Entering, uid: number, gids: readonly number[]): User {
  return { uid: hostId(linux?.uidMappings, uid), gids: gids.map((gid) => hostId(linux?.gidMappings, gid)) };
}

function hostId(ranges: readonly Readonly<IdMapping>[] | undefined, id: number): number {
  if (ranges === undefined) return id;
  const range = ranges.find(({ containerID, size }) => id >= containerID && id < containerID + size);
  return range === undefined ? id : range.hostID + id - range.containerID;
}

/** The directories on the way to one, the outermost first, and itself. */
function waysTo(directory: string): string[] {
  const parent = path.dirname(directory);
  return parent === directory ? [directory] : [...waysTo(parent), directory];
}

function nameClosed(failure: TsrunError, ways: readonly string[], user: User, below?: string): TsrunError {
  const closed = ways.find((directory) => !mayEnter(directory, user));
  if (closed === undefined) return failure;
  const isInside = below !== undefined && closed.startsWith(`${below}/`);
  const shown = isInside ? `${closed.slice(below.length)}" of the rootfs` : `${closed}"`;
  return failure.withHint(remedies.enter(`"${shown}`, `user ${user.uid} of group ${user.gids[0] ?? 0}`));
}

function mayEnter(directory: string, { uid, gids }: User): boolean {
  let found: { readonly uid: number; readonly gid: number; readonly mode: number };
  try {
    found = statSync(directory);
  } catch {
    return true;
  }
  const bit = found.uid === uid ? 0o100 : gids.includes(found.gid) ? 0o010 : 0o001;
  return (found.mode & bit) !== 0;
}
