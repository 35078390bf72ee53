import { mountOptions } from '../../spec/mount-options.ts';
import { MS_BIND, MS_REC, MS_REMOUNT } from '../../util/constants.ts';
import { CODE, RpcError } from '../wire/rpc.ts';
import type { Mount } from '../wire/common.ts';

/** A range of ids: those of the file system, and those that they are to be. */
export interface IdRange {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** What ids of files are to be. */
export interface MountIdMap {
  readonly uid: readonly IdRange[];
  readonly gid: readonly IdRange[];
}

/** One call of mount(2), on the root file system or below, in the directory in which it is to be made. */
export interface PlannedMount {
  readonly type: string;
  readonly source: string;
  readonly flags: number;
  readonly data: string;
  /** Of lower directories that are relative. Default: wherever. */
  readonly directory?: string;
  /** Below the root file system, as whoever has that for a root sees it. Default: the root itself. */
  readonly target?: string;
  /** The source is a file that a block device is to be made of. */
  readonly isImage?: boolean;
  /** Of the lower directories where there are any, else of the mount itself. */
  readonly idMap?: MountIdMap;
  /** Lower directories whose ids are mapped, which the data does not name, the uppermost first. */
  readonly lower?: readonly string[];
}

/** mount(2) takes a page of data, and a zero byte. */
const DATA_BYTES_MAX = 4095;
const LOWER = 'lowerdir=';

/**
 * The calls that make one of the mounts that containerd has a root file system made of.
 *
 * Errors: `RpcError` INVALID_ARGUMENT for what tsrun cannot do.
 */
export function planMount({ type = '', source = '', target = '', options = [] }: Mount): PlannedMount[] {
  let flags = 0;
  let isImage = false;
  const propagations: number[] = [];
  const data: string[] = [];
  const maps = new Map<string, IdRange[]>();
  for (const option of options) {
    const known = mountOptions.get(option);
    const [, map = '', ranges = ''] = /^([ug]id)map=(.*)$/.exec(option) ?? [];
    if (map !== '') maps.set(map, ranges.split(',').map(readRange));
    else if (known === undefined) {
      if (option.startsWith('X-')) throw refused(`the option ${JSON.stringify(option)}`);
      if (option === 'loop') isImage = true;
      else data.push(option);
    } else if (known.kind === 'flag') flags = (flags | known.set) & ~known.clear;
    else if (known.kind === 'propagation') propagations.push(known.set);
    else throw refused(`the option ${JSON.stringify(option)}`);
  }
  const plain = { type, source, flags, data: data.join(','), ...(isImage && { isImage }) };
  const first = maps.size > 0 ? mapped(plain, data, maps) : plain;
  const mounts: PlannedMount[] = [first.data.length > DATA_BYTES_MAX ? shorten(first, data) : first];
  // A bind mount takes over the flags of its source: its own need a second call.
  const own = flags & ~(MS_BIND | MS_REC);
  if ((flags & MS_BIND) !== 0 && own !== 0) mounts.push({ type, source, flags: own | MS_BIND | MS_REMOUNT, data: '' });
  for (const propagation of propagations) mounts.push({ type: '', source: 'none', flags: propagation, data: '' });
  return target === '' ? mounts : mounts.map((mount) => ({ ...mount, target }));
}

/** The same with ids that are mapped: an overlay has no such thing, the directories that it lies over have. */
function mapped(mount: PlannedMount, options: readonly string[], maps: ReadonlyMap<string, IdRange[]>): PlannedMount {
  const [uid, gid] = [maps.get('uid'), maps.get('gid')];
  if (uid === undefined || gid === undefined) throw refused('uidmap without gidmap, nor gidmap without uidmap');
  const lower = options.find((option) => option.startsWith(LOWER));
  if (mount.type !== 'overlay' || lower === undefined) return { ...mount, idMap: { uid, gid } };
  const data = options.filter((option) => option !== lower).join(',');
  return { ...mount, data, idMap: { uid, gid }, lower: lower.slice(LOWER.length).split(':') };
}

function readRange(text: string): IdRange {
  const [, first, second, third] = /^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(text) ?? [];
  if (first === undefined) throw refused(`the ids ${JSON.stringify(text)}, wanted INSIDE:OUTSIDE:COUNT`);
  return { containerID: Number(first), hostID: Number(second), size: Number(third) };
}

/** The same with lower directories that are relative to the one that they have in common. */
function shorten(mount: PlannedMount, options: readonly string[]): PlannedMount {
  const lower = options.find((option) => option.startsWith(LOWER));
  const directories = lower?.slice(LOWER.length).split(':') ?? [];
  const directory = commonDirectory(directories);
  if (lower === undefined || directory === '/') throw refused('options that are longer than a page');
  const relative = directories.map((path) => path.slice(directory.length + 1)).join(':');
  const data = options.map((option) => (option === lower ? `${LOWER}${relative}` : option)).join(',');
  if (data.length > DATA_BYTES_MAX) throw refused('options that are longer than a page');
  return { ...mount, data, directory };
}

/** The longest path that all of these lie below. */
function commonDirectory([first = '/', ...others]: readonly string[]): string {
  let directory = first.slice(0, first.lastIndexOf('/'));
  while (others.some((path) => !path.startsWith(`${directory}/`)))
    directory = directory.slice(0, directory.lastIndexOf('/'));
  return directory === '' ? '/' : directory;
}

function refused(what: string): RpcError {
  return new RpcError(CODE.invalidArgument, `mount the root file system: tsrun does not know ${what}`);
}
