import { mountOptions } from '../../spec/mount-options.ts';
import { MS_BIND, MS_REC, MS_REMOUNT } from '../../util/constants.ts';
import { CODE, RpcError } from '../wire/rpc.ts';
import type { Mount } from '../wire/common.ts';

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
  for (const option of options) {
    const known = mountOptions.get(option);
    if (known === undefined) {
      if (/^([ug]idmap=|X-)/.test(option)) throw refused(`the option ${JSON.stringify(option)}`);
      if (option === 'loop') isImage = true;
      else data.push(option);
    } else if (known.kind === 'flag') flags = (flags | known.set) & ~known.clear;
    else if (known.kind === 'propagation') propagations.push(known.set);
    else throw refused(`the option ${JSON.stringify(option)}`);
  }
  const first = { type, source, flags, data: data.join(','), ...(isImage && { isImage }) };
  const mounts: PlannedMount[] = [first.data.length > DATA_BYTES_MAX ? shorten(first, data) : first];
  // A bind mount takes over the flags of its source: its own need a second call.
  const own = flags & ~(MS_BIND | MS_REC);
  if ((flags & MS_BIND) !== 0 && own !== 0) mounts.push({ type, source, flags: own | MS_BIND | MS_REMOUNT, data: '' });
  for (const propagation of propagations) mounts.push({ type: '', source: 'none', flags: propagation, data: '' });
  return target === '' ? mounts : mounts.map((mount) => ({ ...mount, target }));
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
