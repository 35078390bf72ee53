import { call, failWhen, isNegative, not, unless, when } from '../program/build.ts';
import type { Region, Step } from '../program/step.ts';
import { pointerTo } from '../spec/pointer.ts';
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_REMOUNT,
  O_CLOEXEC,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  S_IFCHR,
} from '../util/constants.ts';
import type { PlanContext } from './context.ts';
import { closeWord, isDeviceNumber, isDirectory, isFileType, openInRoot, statHandle } from './handles.ts';
import { MOUNT_ATTR_SIZE, mountAttr } from './mount-attributes.ts';
import { remountKeeping } from './kept-attributes.ts';
import { needsProcHandle, planProcHandle } from './proc-handle.ts';
import { reserveScratch } from './scratch.ts';

/**
 * config-linux.md, "Masked Paths": covers directories with an empty read-only tmpfs and everything else with /dev/null.
 *
 * Runs after the rootfs was entered, still by way of its handle.
 */
export function planMaskedPaths(context: PlanContext): Step[] {
  const paths = context.config.linux?.maskedPaths ?? [];
  if (paths.length === 0) return [];
  const { root } = context.words;
  const nullDevice = context.memory.word('null');
  return [
    ...openNull(context, nullDevice),
    ...paths.flatMap((path, index) => {
      const item = { path, shown: JSON.stringify(path), pointer: pointerTo('/linux/maskedPaths', index) };
      return whenThere(context, item, maskPath(context, item, nullDevice));
    }),
    closeWord(nullDevice),
    // Covering a directory moved the working directory below the cover.
    call('fchdir', [root], { label: 'return to the root' }),
  ];
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

function maskPath(context: PlanContext, item: PathToCover, nullDevice: Region): Step[] {
  const { target } = context.words;
  const { shown } = item;
  return [
    statHandle(context, target, `look at ${shown}`),
    ...when(isDirectory(context), maskDirectory(context, item), `cover ${shown} when it is a directory`),
    // The answer of the look is still there: covering a directory looks at nothing.
    ...unless(isDirectory(context), maskFile(context, item, nullDevice), `cover ${shown} when it is none`),
  ];
}

/** A tmpfs with room for nothing but its root directory. */
const EMPTY_TMPFS = 'nr_blocks=1,nr_inodes=1';

function maskDirectory(context: PlanContext, { shown, pointer }: PathToCover): Step[] {
  const { target, source } = context.words;
  const label = `mask directory ${shown}`;
  const flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  const mount = call('mount', ['tmpfs', '.', 'tmpfs', flags, tmpfsData(context)], { label, pointer });
  return [
    // In a user namespace a directory of the host's root may be closed to the container's; then it needs no cover.
    call('fchdir', [target], { label: `enter ${shown}`, pointer, accept: ['EACCES'], result: source }),
    ...unless(isNegative(source), [mount]),
  ];
}

function tmpfsData({ config, host }: PlanContext): string {
  const label = config.linux?.mountLabel ?? '';
  return host.lsm.selinux && label !== '' ? `${EMPTY_TMPFS},context="${label}"` : EMPTY_TMPFS;
}

function maskFile(context: PlanContext, { shown, pointer }: PathToCover, nullDevice: Region): Step[] {
  const { target, tree } = context.words;
  const label = `mask file ${shown}`;
  return [
    failWhen(isNegative(nullDevice), 'ENOENT', { label: `${label}: the container has no "/dev/null"`, pointer }),
    call('open_tree', [nullDevice, '', OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH], {
      label,
      pointer,
      result: tree,
    }),
    call('move_mount', [tree, '', target, '', ONTO_HANDLE], { label, pointer }),
    closeWord(tree),
  ];
}

/**
 * config-linux.md, "Readonly Paths": mounts each path onto itself, with what is mounted below it, and makes that mount read-only.
 * Its other attributes stay, and so do those of the mounts below, as in runc.
 *
 * Runs after the rootfs was entered, still by way of its handle.
 */
export function planReadonlyPaths(context: PlanContext): Step[] {
  const paths = context.config.linux?.readonlyPaths ?? [];
  if (paths.length === 0) return [];
  const steps = paths.flatMap((path, index) => {
    const item = { path, shown: JSON.stringify(path), pointer: pointerTo('/linux/readonlyPaths', index) };
    return whenThere(context, item, makeReadonly(context, item));
  });
  if (context.host.kernel.mountSetattr) return steps;
  return [
    ...(needsProcHandle(context.config) ? [] : planProcHandle(context)),
    ...steps,
    call('fchdir', [context.words.root], { label: 'return to the root' }),
  ];
}

function makeReadonly(context: PlanContext, { shown, pointer }: PathToCover): Step[] {
  const { target, tree } = context.words;
  const bind = { label: `bind ${shown}`, pointer };
  const readonly = { label: `make ${shown} read-only`, pointer };
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE;
  const clone = call('open_tree', [target, '', flags], { ...bind, result: tree });
  const attach = call('move_mount', [tree, '', target, '', ONTO_HANDLE], bind);
  if (!context.host.kernel.mountSetattr) {
    return [clone, attach, ...remountReadonly(context, readonly), closeWord(tree)];
  }
  const attributes = mountAttr({ set: MOUNT_ATTR_RDONLY });
  const change = call('mount_setattr', [tree, '', AT_EMPTY_PATH, attributes, MOUNT_ATTR_SIZE], readonly);
  return [clone, change, attach, closeWord(tree)];
}

/**
 * The form for kernels before 5.12, which lack mount_setattr(2): a remount, one for each combination of attributes that the mount
 * may have. mount(2) knows no handles; the path leads through the private proc file system to the descriptor.
 */
function remountReadonly(context: PlanContext, options: { label: string; pointer: string }): Step[] {
  const { tree, proc } = context.words;
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
 * Opens the path as `words.target` and does the steps when it is there.
 *
 * A path that is missing is skipped; one that the container's root may not even look for is out of its reach already (EACCES).
 */
function whenThere(context: PlanContext, { path, shown, pointer }: PathToCover, steps: readonly Step[]): Step[] {
  const { target } = context.words;
  return [
    ...openInRoot(context, path, target, { label: `open ${shown}`, pointer, accept: ['ENOENT', 'ENOTDIR', 'EACCES'] }),
    ...unless(isNegative(target), [...steps, closeWord(target)], `skip ${shown} when it is not there`),
  ];
}
