import { call, failWhen, isNegative, isZero, not, unless, when } from '../../program/build.ts';
import type { Part, Region, Step } from '../../program/step.ts';
import { pointerTo } from '../../spec/pointer.ts';
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_BIND,
  MS_RDONLY,
  MS_REMOUNT,
  O_CLOEXEC,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  S_IFCHR,
} from '../../util/constants.ts';
import type { PlanContext } from '../base/context.ts';
import { isDeviceNumber, isDirectory, isFileType, openInRoot, statHandle } from '../base/handles.ts';
import { changeAttributes } from './mount-attributes.ts';
import { remountKeeping } from './kept-attributes.ts';
import { needsProcHandle, planProcHandle } from '../base/proc-handle.ts';
import { reserveScratch } from '../base/scratch.ts';
import { withHandle, withHandleFor } from '../base/with-handle.ts';
import { forEachPath, listPaths, type ListedPath } from './path-series.ts';
import { MOUNT_ATTR_SIZE, mountAttr } from '../../program/structs.ts';

/**
 * config-linux.md, "Masked Paths": covers directories with an empty read-only tmpfs, one for all of them, and everything else with
 * /dev/null. A path that is listed twice is covered once.
 *
 * Runs after the rootfs was entered, still by way of its handle.
 */
export function planMaskedPaths(context: PlanContext): Part[] {
  const items = listPaths(context.config.linux?.maskedPaths);
  if (items.length === 0) return [];
  const attached = context.memory.word('attached');
  return withHandleFor(context, { name: 'null', open: (nullDevice) => openNull(context, nullDevice) }, (nullDevice) =>
    withHandleFor(context, { name: 'empty', open: (empty) => makeEmpty(context, { empty, attached }) }, (empty) =>
      forEachPath(context, items, (listed) => {
        const item = show(listed, '/linux/maskedPaths');
        return whenThere(context, item, (target) =>
          maskPath(context, { ...item, target }, { nullDevice, empty, attached }),
        );
      }),
    ),
  );
}

/** What paths are covered with. */
interface Masks {
  /** Handle of the container's /dev/null. */
  readonly nullDevice: Region;
  /** Handle of a tmpfs, which is mounted nowhere at first. */
  readonly empty: Region;
  /** Not zero once the tmpfs itself covers a directory, and others get copies of that mount. */
  readonly attached: Region;
}

/** A path that is there, by its handle. */
interface Covered extends PathToCover {
  readonly target: Region;
}

function show({ path, index }: ListedPath, list: string): PathToCover {
  return { path, shown: JSON.stringify(path), pointer: pointerTo(list, index) };
}

/**
 * The container's /dev/null, verified to be the null device: an image or a volume could put a symlink or another file there, which
 * would then be mounted writable over what is to be hidden (CVE-2025-31133).
 */
function openNull(context: PlanContext, nullDevice: Region): Step[] {
  const pointer = '/linux/maskedPaths';
  const wrong = { label: 'mask paths: "/dev/null" is not the null device', pointer };
  return [
    ...openInRoot(context, '/dev/null', nullDevice, {
      label: 'open "/dev/null"',
      pointer,
      accept: ['ENOENT'],
      noSymlinks: true,
      noFollow: true,
    }),
    ...unless(isNegative(nullDevice), [
      statHandle(context, nullDevice, 'look at "/dev/null"'),
      failWhen(not(isFileType(context, S_IFCHR, 'a character device')), 'ENODEV', wrong),
      failWhen(not(isDeviceNumber(context, 1, 3)), 'ENODEV', wrong),
    ]),
  ];
}

function maskPath(context: PlanContext, item: Covered, masks: Masks): Step[] {
  const { shown, target } = item;
  return [
    statHandle(context, target, `look at ${shown}`),
    ...when(isDirectory(context), maskDirectory(context, item, masks), `cover ${shown} when it is a directory`),
    // The answer of the look is still there: covering a directory looks at nothing.
    ...unless(isDirectory(context), maskFile(context, item, masks), `cover ${shown} when it is none`),
  ];
}

/** Of the tmpfs: room for nothing but its root directory. */
const EMPTY: readonly (readonly [string, string])[] = [
  ['nr_blocks', '1'],
  ['nr_inodes', '1'],
];

/** A read-only tmpfs without anything in it, mounted nowhere. */
function makeEmpty(context: PlanContext, { empty, attached }: Omit<Masks, 'nullDevice'>): Step[] {
  const { config, host } = context;
  const options = { label: 'make an empty file system to mask with', pointer: '/linux/maskedPaths' };
  const mountLabel = config.linux?.mountLabel ?? '';
  const label = host.lsm.selinux && mountLabel !== '' ? [['context', mountLabel] as const] : [];
  const attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  const open = (result: Region): Step[] => [call('fsopen', ['tmpfs', FSOPEN_CLOEXEC], { ...options, result })];
  return withHandle(context, { name: 'file system', open }, (handle) => [
    ...[...EMPTY, ...label].map(([key, value]) =>
      call('fsconfig', [handle, FSCONFIG_SET_STRING, key, value, 0], options),
    ),
    call('fsconfig', [handle, FSCONFIG_SET_FLAG, 'ro', 0, 0], options),
    // Its result is 0, with which `attached` starts.
    call('fsconfig', [handle, FSCONFIG_CMD_CREATE, 0, 0, 0], { ...options, result: attached }),
    call('fsmount', [handle, FSMOUNT_CLOEXEC, attributes], { ...options, result: empty }),
  ]);
}

/** Kernels before 6.15 copy no mount that is not attached (EINVAL): the first directory gets the tmpfs itself. */
function maskDirectory(context: PlanContext, { shown, pointer, target }: Covered, masks: Masks): Step[] {
  const { empty, attached } = masks;
  const options = { label: `mask directory ${shown}`, pointer };
  const open = (tree: Region): Step[] => [
    call('open_tree', [empty, '', OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH], {
      ...options,
      accept: ['EINVAL'],
      result: tree,
    }),
    ...when(isNegative(tree), [
      // Moved once more it would leave the directory that it covers.
      failWhen(not(isZero(attached)), 'EINVAL', options),
      call('move_mount', [empty, '', target, '', ONTO_HANDLE], options),
      // A pid is not zero.
      call('getpid', [], { ...options, result: attached }),
    ]),
  ];
  return withHandle(context, { name: 'tree', open, optional: true }, (tree) => [
    call('move_mount', [tree, '', target, '', ONTO_HANDLE], options),
  ]);
}

function maskFile(context: PlanContext, { shown, pointer, target }: Covered, { nullDevice }: Masks): Step[] {
  const label = `mask file ${shown}`;
  const open = (result: Region): Step[] => [
    failWhen(isNegative(nullDevice), 'ENOENT', { label: `${label}: the container has no "/dev/null"`, pointer }),
    call('open_tree', [nullDevice, '', OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH], {
      label,
      pointer,
      result,
    }),
  ];
  return withHandle(context, { name: 'tree', open }, (tree) => [
    call('move_mount', [tree, '', target, '', ONTO_HANDLE], { label, pointer }),
  ]);
}

/**
 * config-linux.md, "Readonly Paths": mounts each path onto itself, with what is mounted below it, and makes that mount read-only.
 * Its other attributes stay, and so do those of the mounts below, as in runc.
 *
 * Runs after the rootfs was entered, still by way of its handle.
 */
export function planReadonlyPaths(context: PlanContext): Part[] {
  const items = listPaths(context.config.linux?.readonlyPaths);
  if (items.length === 0) return [];
  const steps = forEachPath(context, items, (listed) => {
    const item = show(listed, '/linux/readonlyPaths');
    if (listed.inside === '') return makeRootReadonly(context, item);
    return whenThere(context, item, (target) => makeReadonly(context, { ...item, target }));
  });
  if (context.host.kernel.mountSetattr) return steps;
  return [
    ...(needsProcHandle(context.config) ? [] : planProcHandle(context)),
    ...steps,
    call('fchdir', [context.slots.root], { label: 'return to the root' }),
  ];
}

/** A mount on top of the root would be nobody's root: the root's own mount becomes read-only. */
function makeRootReadonly(context: PlanContext, { shown, pointer }: PathToCover): Step[] {
  return changeAttributes(
    context,
    context.slots.root,
    { set: MOUNT_ATTR_RDONLY, clear: 0 },
    { label: `make ${shown} read-only`, pointer, isDirectory: true },
  );
}

function makeReadonly(context: PlanContext, { shown, pointer, target }: Covered): Step[] {
  const bind = { label: `bind ${shown}`, pointer };
  const readonly = { label: `make ${shown} read-only`, pointer };
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE;
  const clone = (result: Region): Step[] => [call('open_tree', [target, '', flags], { ...bind, result })];
  return withHandle(context, { name: 'tree', open: clone }, (tree) => {
    const attach = call('move_mount', [tree, '', target, '', ONTO_HANDLE], bind);
    if (!context.host.kernel.mountSetattr) return [attach, ...remountReadonly(context, tree, readonly)];
    const attributes = mountAttr({ set: MOUNT_ATTR_RDONLY });
    return [call('mount_setattr', [tree, '', AT_EMPTY_PATH, attributes, MOUNT_ATTR_SIZE], readonly), attach];
  });
}

/**
 * The form for kernels before 5.12, which lack mount_setattr(2): a remount, one for each combination of attributes that the mount
 * may have. mount(2) knows no handles; the path leads through the private proc file system to the descriptor.
 */
function remountReadonly(context: PlanContext, tree: Region, options: { label: string; pointer: string }): Step[] {
  const { proc } = context.slots;
  const [number] = context.descriptors.scratch;
  const flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
  return [
    call('dup3', [tree, number, O_CLOEXEC], { ...options, label: `number ${tree.name} ${number}` }),
    call('fchdir', [proc], { ...options, label: 'enter the private proc file system' }),
    ...remountKeeping(context, tree, { ...options, except: MS_RDONLY }, (kept) =>
      call('mount', [0, `thread-self/fd/${number}`, 0, flags | kept, 0], options),
    ),
    ...reserveScratch(context.descriptors),
  ];
}

/** A path inside the container that something is mounted over: a masked path or a read-only path. */
interface PathToCover {
  readonly path: string;
  /** The path as messages show it. */
  readonly shown: string;
  readonly pointer: string;
}

/** Flags of move_mount(2) from one handle onto another. */
const ONTO_HANDLE = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

/**
 * Opens the path and does the steps with its handle when it is there.
 *
 * A path that is missing is skipped; one that the container's root may not even look for is out of its reach already (EACCES).
 */
function whenThere(
  context: PlanContext,
  { path, shown, pointer }: PathToCover,
  use: (target: Region) => readonly Step[],
): Step[] {
  const open = (target: Region): Step[] =>
    openInRoot(context, path, target, { label: `open ${shown}`, pointer, accept: ['ENOENT', 'ENOTDIR', 'EACCES'] });
  return withHandle(context, { name: 'target', open, optional: `skip ${shown} when it is not there` }, use);
}
