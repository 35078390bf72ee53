import { TsrunError } from '../../errors.ts';
import { call, isNegative, when } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import {
  AT_FDCWD,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_REMOUNT,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../util/constants.ts';
import type { PlanContext } from '../base/context.ts';
import { withHandle } from '../base/with-handle.ts';
import type { CgroupLayout } from '../base/cgroup-layout.ts';
import type { CgroupDirectory } from '../cgroup/path.ts';
import type { CgroupPlan } from '../cgroup/plan.ts';
import { directoryPath } from '../cgroup/print.ts';
import { OPEN_HOW_SIZE, openHow } from '../../program/structs.ts';

/**
 * How an entry `"type": "cgroup"` of mounts[] becomes steps (config-linux.md, "Default Filesystems" and "Cgroup ownership").
 *
 * On cgroup v2 it is one cgroup2 mount. With v1 hierarchies it is a tmpfs with a directory for each hierarchy:
 *
 *     /sys/fs/cgroup             tmpfs
 *     /sys/fs/cgroup/cpu,cpuacct the hierarchy, named like its mount point on the host
 *     /sys/fs/cgroup/cpu         -> cpu,cpuacct
 *     /sys/fs/cgroup/systemd     name=systemd
 *     /sys/fs/cgroup/unified     cgroup2 on a hybrid host
 *
 * In a cgroup namespace a hierarchy is mounted anew and shows the container's cgroup as its root. Without one, the container's own
 * cgroup is bound there. Everything happens on handles: the target was opened below the rootfs, what is above it is not looked at again.
 */
export interface CgroupMountInput {
  readonly context: Pick<PlanContext, 'memory' | 'slots'>;
  readonly layout: CgroupLayout;
  readonly plan: CgroupPlan;
  /** The container has a cgroup namespace other than tsrun's, and init is in it when the steps run. */
  readonly hasCgroupNamespace: boolean;
  /** MS_* flags of the entry's options. */
  readonly flags: number;
  /** File-system data of a cgroup2 mount, such as an SELinux context; empty for none. */
  readonly data?: string;
  /** O_PATH handle of the mount point. */
  readonly target: Region;
  /** Destination as the config spells it, for the labels. */
  readonly destination: string;
  readonly pointer?: string;
}

/** What every mount of this entry carries, as on any host: cgroup files are no programs and no devices. */
const BASE_FLAGS = MS_NOSUID | MS_NODEV | MS_NOEXEC;
/** EPERM: the kernel does not let this user namespace mount it. EBUSY: mounted already where a second time is not allowed. */
const NOT_MOUNTABLE = ['EPERM', 'EBUSY'] as const;

/**
 * Mounts the container's cgroups on the target. Init's working directory is another one afterwards.
 *
 * Errors: `unsupported` when this machine has no cgroup mounted.
 */
export function planCgroupMount(input: CgroupMountInput): Step[] {
  const { layout, target } = input;
  const directories = input.plan.directories.length > 0 ? input.plan.directories : ownDirectories(layout);
  if (directories.length === 0) {
    const message = 'no cgroup hierarchy is mounted on this machine';
    const issues = input.pointer === undefined ? [] : [{ pointer: input.pointer, message }];
    throw new TsrunError('unsupported', `mount "cgroup" on ${JSON.stringify(input.destination)}: ${message}`, {
      issues,
    });
  }
  const [only] = directories;
  if (layout.mode === 'v2' && only !== undefined) return planHierarchy(input, only, { target, label: label(input) });
  return planTmpfs(input, directories);
}

/** Without cgroups of its own the container sees those of tsrun, which it shares. */
function ownDirectories(layout: CgroupLayout): CgroupDirectory[] {
  const { hierarchies, unified } = layout;
  const v1 = hierarchies.map(({ controllers, mountPoint, ownPath }): CgroupDirectory => {
    return { kind: 'v1', controllers, mountPoint, path: ownPath };
  });
  if (unified === undefined) return v1;
  return [
    ...v1,
    { kind: 'v2', controllers: unified.controllers, mountPoint: unified.mountPoint, path: unified.ownPath },
  ];
}

function planTmpfs(input: CgroupMountInput, directories: readonly CgroupDirectory[]): Step[] {
  const isReadonly = (input.flags & MS_RDONLY) !== 0;
  return withHandle(input.context, { name: 'cgroup tree', open: (tree) => planTree(input, tree) }, (tree) => [
    ...directories.flatMap((directory) => planDirectory(input, directory, tree)),
    ...(isReadonly ? planRemount(input, tree, { flags: BASE_FLAGS | MS_RDONLY, label: label(input) }) : []),
  ]);
}

function planDirectory(input: CgroupMountInput, directory: CgroupDirectory, tree: Region): Step[] {
  const name = nameOf(directory);
  const where = label(input, `/${name}`);
  const open = (result: Region): Step[] => [
    step(input, 'openat2', [tree, name, HOW, OPEN_HOW_SIZE], { label: `${where}: open directory`, result }),
  ];
  const linked = directory.controllers.filter((one) => directory.kind === 'v1' && !one.includes('=') && one !== name);
  return [
    step(input, 'mkdirat', [tree, name, 0o755], { label: `${where}: make directory` }),
    ...withHandle(input.context, { name: 'cgroup place', open }, (place) =>
      planHierarchy(input, directory, { target: place, label: where }),
    ),
    ...linked.map((controller) =>
      step(input, 'symlinkat', [name, tree, controller], { label: `${where}: link ${JSON.stringify(controller)}` }),
    ),
  ];
}

/** The tmpfs is made detached and then put on the target, so that `tree` is its root whatever lies on the path to it. */
function planTree(input: CgroupMountInput, tree: Region): Step[] {
  const at = (what: string): string => `${label(input)}: ${what}`;
  const attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  const open = (result: Region): Step[] => [
    step(input, 'fsopen', ['tmpfs', FSOPEN_CLOEXEC], { label: at('open a tmpfs'), result }),
  ];
  return [
    ...withHandle(input.context, { name: 'cgroup source', open }, (source) => [
      step(input, 'fsconfig', [source, FSCONFIG_SET_STRING, 'mode', '755', 0], {
        label: at('set the mode of the tmpfs'),
      }),
      step(input, 'fsconfig', [source, FSCONFIG_CMD_CREATE, 0, 0, 0], { label: at('create the tmpfs') }),
      step(input, 'fsmount', [source, FSMOUNT_CLOEXEC, attributes], { label: at('mount the tmpfs'), result: tree }),
    ]),
    ...planAttach(input, tree, input.target, label(input)),
  ];
}

/** Where a hierarchy is mounted. */
interface Place {
  /** Handle of the mount point. */
  readonly target: Region;
  readonly label: string;
}

/** One hierarchy on one handle. */
function planHierarchy(input: CgroupMountInput, directory: CgroupDirectory, to: Place): Step[] {
  const { target } = to;
  const { answer } = input.context.slots;
  // Mounted anew, a v1 hierarchy would show the whole host, and cgroup2 would reset the options of the host's own mount, nsdelegate
  // among them: from the first cgroup namespace they are set for all mounts of it (Documentation/admin-guide/cgroup-v2.rst).
  if (!input.hasCgroupNamespace) return planBind(input, directory, to);
  const type = directory.kind === 'v1' ? 'cgroup' : 'cgroup2';
  const data = directory.kind === 'v1' ? directory.controllers.join(',') : (input.data ?? '');
  return [
    step(input, 'fchdir', [target], { label: `${to.label}: enter the mount point` }),
    step(input, 'mount', ['cgroup', '.', type, BASE_FLAGS | input.flags, data === '' ? 0 : data], {
      label: to.label,
      accept: NOT_MOUNTABLE,
      result: answer,
    }),
    ...when(isNegative(answer), planBind(input, directory, to)),
  ];
}

/**
 * The container's own cgroup, bound. For cgroup2 without a cgroup namespace it is the host's whole mount, because there
 * /proc/self/cgroup names paths of the host, which would lead nowhere otherwise.
 */
function planBind(input: CgroupMountInput, directory: CgroupDirectory, { target, label }: Place): Step[] {
  const whole = directory.kind === 'v2' && !input.hasCgroupNamespace;
  const path = whole ? directory.mountPoint : directoryPath(directory);
  const flags = BASE_FLAGS | input.flags;
  const open = (result: Region): Step[] => [
    step(input, 'open_tree', [AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC], {
      label: `${label}: clone ${JSON.stringify(path)}`,
      result,
    }),
  ];
  return withHandle(input.context, { name: 'cgroup source', open }, (source) => [
    ...planAttach(input, source, target, label),
    ...planRemount(input, source, { flags, label }),
  ]);
}

function planAttach(input: CgroupMountInput, mount: Region, target: Region, where: string): Step[] {
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  return [step(input, 'move_mount', [mount, '', target, '', flags], { label: `${where}: attach` })];
}

/** The handle of a mount that was attached is its root: from there "." names it, and no path is looked up. */
function planRemount(
  input: CgroupMountInput,
  mount: Region,
  { flags, label }: { flags: number; label: string },
): Step[] {
  return [
    step(input, 'fchdir', [mount], { label: `${label}: enter the mount` }),
    step(input, 'mount', ['none', '.', 0, MS_REMOUNT | MS_BIND | flags, 0], { label: `${label}: set flags` }),
  ];
}

/** struct open_how: nothing but the directory that was just made in the tmpfs will do. */
const HOW = openHow({ flags: O_PATH | O_DIRECTORY, resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV });

/** Last name of the mount point on the host: `cpu,cpuacct`, `systemd`, `unified`. */
function nameOf({ mountPoint }: CgroupDirectory): string {
  return mountPoint.slice(mountPoint.lastIndexOf('/') + 1);
}

function label({ destination }: CgroupMountInput, below = ''): string {
  return `mount "cgroup" on ${JSON.stringify(`${destination}${below}`)}`;
}

type CallArguments = Parameters<typeof call>;

function step(
  input: CgroupMountInput,
  name: CallArguments[0],
  operands: CallArguments[1],
  options: CallArguments[2],
): Step {
  return call(name, operands, input.pointer === undefined ? options : { ...options, pointer: input.pointer });
}
