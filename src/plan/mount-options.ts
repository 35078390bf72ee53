import { mountOptions, type MountExtension } from '../spec/mount-options.ts';
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
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_RELATIME,
  MS_STRICTATIME,
} from '../util/constants.ts';

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
  readonly extensions: ReadonlySet<MountExtension>;
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
  const extensions = new Set<MountExtension>();
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
    else extensions.add(option.extension);
  }
  return { flags, cleared, recursive, propagation, extensions, data };
}

const SIMPLE: readonly (readonly [number, number])[] = [
  [MS_RDONLY, MOUNT_ATTR_RDONLY],
  [MS_NOSUID, MOUNT_ATTR_NOSUID],
  [MS_NODEV, MOUNT_ATTR_NODEV],
  [MS_NOEXEC, MOUNT_ATTR_NOEXEC],
  [MS_NODIRATIME, MOUNT_ATTR_NODIRATIME],
  [MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW],
];

const ACCESS_TIMES: readonly (readonly [number, number])[] = [
  [MS_NOATIME, MOUNT_ATTR_NOATIME],
  [MS_STRICTATIME, MOUNT_ATTR_STRICTATIME],
  [MS_RELATIME, MOUNT_ATTR_RELATIME],
];

/**
 * The per-mount flags as attributes of mount_setattr(2): only what the options name is changed, so that a flag which the source
 * has (and which a user namespace may have locked) stays.
 */
export function mountAttributes({
  flags,
  cleared,
}: {
  readonly flags: number;
  readonly cleared: number;
}): MountAttributes {
  let set = 0;
  let clear = 0;
  for (const [flag, attribute] of SIMPLE) {
    if ((flags & flag) !== 0) set |= attribute;
    if ((cleared & flag) !== 0) clear |= attribute;
  }
  // The access time is one field: the kernel wants all of it cleared before a part is set.
  const access = ACCESS_TIMES.find(([flag]) => (flags & flag) !== 0);
  if (access !== undefined) {
    set |= access[1];
    clear |= MOUNT_ATTR__ATIME;
  } else if ((cleared & MS_NOATIME) !== 0) clear |= MOUNT_ATTR__ATIME;
  return { set, clear };
}
