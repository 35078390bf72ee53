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
  MS_DIRSYNC,
  MS_I_VERSION,
  MS_LAZYTIME,
  MS_MANDLOCK,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_RELATIME,
  MS_REMOUNT,
  MS_SHARED,
  MS_SILENT,
  MS_SLAVE,
  MS_STRICTATIME,
  MS_SYNCHRONOUS,
  MS_UNBINDABLE,
} from '../util/constants.ts';

/** config.md, "Linux mount options": every option string that tsrun itself understands. */

/** How a mount is made, beyond its flags and the data for its file system. */
export interface MountManner {
  /** What becomes of a symlink at the source: its target is mounted, or it is mounted itself, or it is copied in place of a mount. */
  readonly sourceLink: 'follow' | 'mount' | 'copy';
  /** Whether the mount point may be reached through a symlink at its name. */
  readonly targetLink: 'follow' | 'refuse';
  /** Whether the source's owners are shown through an id map: those of its mount alone, or of all below it too. */
  readonly idMap: 'none' | 'mount' | 'tree';
  /** Whether a tmpfs begins with what was at its mount point. */
  readonly copyUp: boolean;
}

/** A mount whose options name no extension. */
export const PLAIN_MANNER: MountManner = { sourceLink: 'follow', targetLink: 'follow', idMap: 'none', copyUp: false };

/** One thing that an extension changes: of every member of MountManner a value. */
type Change = { [Name in keyof MountManner]: Readonly<Record<Name, MountManner[Name]>> }[keyof MountManner];

interface Extension {
  /** The mounts on which it has an effect. */
  readonly mounts: 'bind' | 'tmpfs' | 'any';
  readonly change: Change;
}

/** Options that tsrun carries out by itself -> what they change in the making of a mount. */
export const mountExtensions = {
  'copy-symlink': { mounts: 'bind', change: { sourceLink: 'copy' } },
  'dest-nofollow': { mounts: 'any', change: { targetLink: 'refuse' } },
  idmap: { mounts: 'bind', change: { idMap: 'mount' } },
  ridmap: { mounts: 'bind', change: { idMap: 'tree' } },
  'src-nofollow': { mounts: 'bind', change: { sourceLink: 'mount' } },
  tmpcopyup: { mounts: 'tmpfs', change: { copyUp: true } },
} as const satisfies Readonly<Record<string, Extension>>;

/**
 * What an option does.
 *
 * - `flag`         flags of mount(2) that it sets and clears; `bind` and `rbind` are the ones that set MS_BIND
 * - `recursive`    attr_set and attr_clr of mount_setattr(2) with AT_RECURSIVE
 * - `propagation`  flags of a mount(2) of their own, after the mount
 * - `extension`    something that tsrun does itself, in `mountExtensions`
 */
export type MountOption =
  | { readonly kind: 'flag'; readonly set: number; readonly clear: number }
  | { readonly kind: 'recursive'; readonly attrSet: number; readonly attrClear: number }
  | { readonly kind: 'propagation'; readonly set: number }
  | ({ readonly kind: 'extension' } & Extension);

/** Option string -> what it does. Strings that are not here are data for the file system. */
export const mountOptions: ReadonlyMap<string, MountOption> = new Map<string, MountOption>([
  ['async', clear(MS_SYNCHRONOUS)],
  ['atime', clear(MS_NOATIME)],
  ['bind', set(MS_BIND)],
  ['defaults', set(0)],
  ['dev', clear(MS_NODEV)],
  ['diratime', clear(MS_NODIRATIME)],
  ['dirsync', set(MS_DIRSYNC)],
  ['exec', clear(MS_NOEXEC)],
  ['iversion', set(MS_I_VERSION)],
  ['lazytime', set(MS_LAZYTIME)],
  ['loud', clear(MS_SILENT)],
  ['mand', set(MS_MANDLOCK)],
  ['noatime', set(MS_NOATIME)],
  ['nodev', set(MS_NODEV)],
  ['nodiratime', set(MS_NODIRATIME)],
  ['noexec', set(MS_NOEXEC)],
  ['noiversion', clear(MS_I_VERSION)],
  ['nolazytime', clear(MS_LAZYTIME)],
  ['nomand', clear(MS_MANDLOCK)],
  ['norelatime', clear(MS_RELATIME)],
  ['nostrictatime', clear(MS_STRICTATIME)],
  ['nosuid', set(MS_NOSUID)],
  ['nosymfollow', set(MS_NOSYMFOLLOW)],
  ['rbind', set(MS_BIND | MS_REC)],
  ['relatime', set(MS_RELATIME)],
  ['remount', set(MS_REMOUNT)],
  ['ro', set(MS_RDONLY)],
  ['rw', clear(MS_RDONLY)],
  ['silent', set(MS_SILENT)],
  ['strictatime', set(MS_STRICTATIME)],
  ['suid', clear(MS_NOSUID)],
  ['symfollow', clear(MS_NOSYMFOLLOW)],
  ['sync', set(MS_SYNCHRONOUS)],

  // These are properties of the superblock, hence the same for every mount below; crun has the names as well.
  ['rasync', clear(MS_SYNCHRONOUS)],
  ['rdirsync', set(MS_DIRSYNC)],
  ['rmand', set(MS_MANDLOCK)],
  ['rnomand', clear(MS_MANDLOCK)],
  ['rsync', set(MS_SYNCHRONOUS)],

  ['private', propagation(MS_PRIVATE)],
  ['rprivate', propagation(MS_PRIVATE | MS_REC)],
  ['rshared', propagation(MS_SHARED | MS_REC)],
  ['rslave', propagation(MS_SLAVE | MS_REC)],
  ['runbindable', propagation(MS_UNBINDABLE | MS_REC)],
  ['shared', propagation(MS_SHARED)],
  ['slave', propagation(MS_SLAVE)],
  ['unbindable', propagation(MS_UNBINDABLE)],

  ['ratime', setAtime(MOUNT_ATTR_RELATIME)],
  ['rdev', clearRecursive(MOUNT_ATTR_NODEV)],
  ['rdiratime', clearRecursive(MOUNT_ATTR_NODIRATIME)],
  ['rexec', clearRecursive(MOUNT_ATTR_NOEXEC)],
  ['rnoatime', setAtime(MOUNT_ATTR_NOATIME)],
  ['rnodev', setRecursive(MOUNT_ATTR_NODEV)],
  ['rnodiratime', setRecursive(MOUNT_ATTR_NODIRATIME)],
  ['rnoexec', setRecursive(MOUNT_ATTR_NOEXEC)],
  ['rnorelatime', setAtime(MOUNT_ATTR_RELATIME)],
  ['rnostrictatime', setAtime(MOUNT_ATTR_RELATIME)],
  ['rnosuid', setRecursive(MOUNT_ATTR_NOSUID)],
  ['rnosymfollow', setRecursive(MOUNT_ATTR_NOSYMFOLLOW)],
  ['rrelatime', setAtime(MOUNT_ATTR_RELATIME)],
  ['rro', setRecursive(MOUNT_ATTR_RDONLY)],
  ['rrw', clearRecursive(MOUNT_ATTR_RDONLY)],
  ['rstrictatime', setAtime(MOUNT_ATTR_STRICTATIME)],
  ['rsuid', clearRecursive(MOUNT_ATTR_NOSUID)],
  ['rsymfollow', clearRecursive(MOUNT_ATTR_NOSYMFOLLOW)],

  ...Object.entries(mountExtensions).map(([name, extension]) => [name, { kind: 'extension', ...extension }] as const),
]);

/** Whether an option asks for an id map. */
export function isIdMapOption(option: string | undefined): boolean {
  const found = option === undefined ? undefined : mountOptions.get(option);
  return found?.kind === 'extension' && 'idMap' in found.change;
}

/** The options that only tmpfs has, up to their values. man 5 tmpfs. */
const TMPFS_OPTION = /^(gid|huge|mode|mpol|nr_blocks|nr_inodes|size|uid)=/;

/** True for an option that tells tmpfs how large it is, whose, and the like. */
export function isTmpfsOption(option: string): boolean {
  return TMPFS_OPTION.test(option);
}

function set(flags: number): MountOption {
  return { kind: 'flag', set: flags, clear: 0 };
}

function clear(flags: number): MountOption {
  return { kind: 'flag', set: 0, clear: flags };
}

function propagation(flags: number): MountOption {
  return { kind: 'propagation', set: flags };
}

function setRecursive(attributes: number): MountOption {
  return { kind: 'recursive', attrSet: attributes, attrClear: 0 };
}

function clearRecursive(attributes: number): MountOption {
  return { kind: 'recursive', attrSet: 0, attrClear: attributes };
}

// The access time modes are one field, not bits: the kernel refuses to set one unless the whole field is cleared.
// Leaving a mode means relatime, whose value is 0.
function setAtime(mode: number): MountOption {
  return { kind: 'recursive', attrSet: mode, attrClear: MOUNT_ATTR__ATIME };
}
