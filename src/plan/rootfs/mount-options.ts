import { mountOptions, PLAIN_MANNER, type MountManner } from '../../spec/mount-options.ts';
import {
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_RELATIME,
  MOUNT_ATTR_STRICTATIME,
  MOUNT_ATTR__ATIME,
  MS_BIND,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_REC,
  MS_RELATIME,
  MS_REMOUNT,
  MS_STRICTATIME,
} from '../../util/constants.ts';

/** The options of one mount, sorted by who acts on them. config.md, "Linux mount options". */
export interface ParsedMountOptions {
  /** MS_* flags that are set in the end. */
  readonly flags: number;
  /** MS_* flags that an option cleared, whether they were set before or not. */
  readonly cleared: number;
  /** The `r*` options: attributes of mount_setattr(2) with AT_RECURSIVE. */
  readonly recursive: MountAttributes;
  /** Propagation flags, each for a call of its own, in the order given. */
  readonly propagation: readonly number[];
  /** What the extensions among them change. */
  readonly manner: MountManner;
  /** What tsrun does not know is for the file system. */
  readonly data: readonly string[];
}

/** attr_set and attr_clr of struct mount_attr. */
export interface MountAttributes {
  readonly set: number;
  readonly clear: number;
}

/** Later options win over earlier ones, as in mount(8). */
export function parseMountOptions(options: readonly string[]): ParsedMountOptions {
  let flags = 0;
  let cleared = 0;
  let recursive: MountAttributes = { set: 0, clear: 0 };
  const propagation: number[] = [];
  let manner = PLAIN_MANNER;
  const data: string[] = [];
  for (const text of options) {
    const option = mountOptions.get(text);
    if (option === undefined) data.push(text);
    else if (option.kind === 'flag') {
      flags = (flags & ~option.clear) | option.set;
      cleared = (cleared | option.clear) & ~option.set;
    } else if (option.kind === 'recursive') {
      recursive = {
        set: (recursive.set & ~option.attrClear) | option.attrSet,
        clear: (recursive.clear & ~option.attrSet) | option.attrClear,
      };
    } else if (option.kind === 'propagation') propagation.push(option.set);
    else manner = { ...manner, ...option.change };
  }
  return { flags, cleared, recursive, propagation, manner, data };
}

const SIMPLE: readonly (readonly [number, number])[] = [
  [MS_RDONLY, MOUNT_ATTR_RDONLY],
  [MS_NOSUID, MOUNT_ATTR_NOSUID],
  [MS_NODEV, MOUNT_ATTR_NODEV],
  [MS_NOEXEC, MOUNT_ATTR_NOEXEC],
  [MS_NODIRATIME, MOUNT_ATTR_NODIRATIME],
  [MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW],
];

/** In mount(2) the strictest wins, whatever the order of the options. */
const ACCESS_TIMES: readonly (readonly [number, number])[] = [
  [MS_STRICTATIME, MOUNT_ATTR_STRICTATIME],
  [MS_NOATIME, MOUNT_ATTR_NOATIME],
  [MS_RELATIME, MOUNT_ATTR_RELATIME],
];

/** Whether an option names a flag of the mount, to be set or cleared; `bind`, `rbind` and `remount` do not. */
export function namesFlags({ flags, cleared }: Pick<ParsedMountOptions, 'flags' | 'cleared'>): boolean {
  return (flags & ~(MS_BIND | MS_REC | MS_REMOUNT)) !== 0 || cleared !== 0;
}

/** The flags that the options set, as attributes of mount_setattr(2); nothing but a mode of the access time is cleared for them. */
export function namedAttributes({ flags }: Pick<ParsedMountOptions, 'flags'>): MountAttributes {
  const simple = SIMPLE.reduce((all, [flag, attribute]) => ((flags & flag) === 0 ? all : all | attribute), 0);
  const access = ACCESS_TIMES.find(([flag]) => (flags & flag) !== 0);
  if (access === undefined) return { set: simple, clear: 0 };
  // The access time is one field: the kernel wants all of it cleared before a part is set.
  return { set: simple | access[1], clear: MOUNT_ATTR__ATIME };
}

/**
 * The flags that a mount has when it has those of the options and no others, as a remount by mount(2) makes it. The access time is
 * an exception there as well: it stays what it is unless an option sets it.
 */
export function replacedAttributes(options: Pick<ParsedMountOptions, 'flags'>): MountAttributes {
  const { set } = namedAttributes(options);
  const all = SIMPLE.reduce((sum, [, attribute]) => sum | attribute, 0) & ~MOUNT_ATTR_NODIRATIME;
  const access = MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME;
  const namesAccess = (options.flags & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)) !== 0;
  const clear = namesAccess ? all | access : all;
  return { set, clear: (clear & ~set) | (namesAccess ? MOUNT_ATTR__ATIME : 0) };
}
