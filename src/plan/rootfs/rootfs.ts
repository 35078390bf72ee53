import { addressOf, call } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import type { Config, RootfsPropagation } from '../../spec/generated/config.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  MNT_DETACH,
  MOVE_MOUNT_F_EMPTY_PATH,
  MS_MOVE,
  MS_PRIVATE,
  MS_REC,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  STATX_MNT_ID,
} from '../../util/constants.ts';
import { findNamespace, hasNewNamespace, type PlanContext } from '../base/context.ts';
import type { PhaseList } from '../base/phases.ts';
import { reply } from '../base/reply.ts';
import { withHandle } from '../base/with-handle.ts';
import { isMadeOutside, planOverlay } from './overlay.ts';

const POINTER = '/linux/rootfsPropagation';

const PROPAGATION_FLAGS: Readonly<Record<Exclude<RootfsPropagation, ''>, number>> = {
  private: MS_PRIVATE,
  rprivate: MS_PRIVATE | MS_REC,
  slave: MS_SLAVE,
  rslave: MS_SLAVE | MS_REC,
  shared: MS_SHARED,
  rshared: MS_SHARED | MS_REC,
  unbindable: MS_UNBINDABLE,
  runbindable: MS_UNBINDABLE | MS_REC,
};

/**
 * Whether the rootfs has to become a mount of its own before init starts, so that what init mounts can be undone with it: the
 * container has mounts, or a read-only root, and no mount namespace.
 */
export function needsRootfsCover(config: Config): boolean {
  if (findNamespace(config, 'mount') !== undefined) return false;
  return (config.mounts ?? []).length > 0 || config.root?.readonly === true;
}

function propagation(context: PlanContext): Exclude<RootfsPropagation, ''> {
  const wanted = context.config.linux?.rootfsPropagation;
  return wanted === undefined || wanted === '' ? 'rslave' : wanted;
}

/**
 * Cuts the mounts of the new mount namespace off from the host's and makes the rootfs a mount of its own, whose handle
 * is `slots.root` from here on.
 *
 * config-linux.md, "Rootfs Mount Propagation".
 */
export function planRootMount(context: PlanContext): Step[] {
  const { root } = context.slots;
  const rootfs = context.bundle.rootfs;
  const shown = JSON.stringify(rootfs);
  const umask = call('umask', [0], { label: 'create files with the modes as written' });
  if (!hasNewNamespace(context.config, 'mount')) return [umask, openRootfs(context)];
  const kind = propagation(context);
  // An unbindable root cannot be bind-mounted from, so that comes after pivot_root; until then the mounts are cut off.
  const first = kind.endsWith('unbindable') ? MS_SLAVE | MS_REC : PROPAGATION_FLAGS[kind];
  return [
    umask,
    call('mount', [0, '/', 0, first, 0], { label: `make the mounts of the host ${kind}`, pointer: POINTER }),
    // pivot_root(2) refuses a new root below a shared mount.
    call('mount', [0, context.bundle.rootfsMountPoint, 0, MS_PRIVATE, 0], {
      label: `make the mount below the rootfs, ${JSON.stringify(context.bundle.rootfsMountPoint)}, private`,
    }),
    ...makeRoot(context),
    call('move_mount', [root, '', AT_FDCWD, rootfs, MOVE_MOUNT_F_EMPTY_PATH], {
      label: `make rootfs ${shown} a mount`,
      pointer: '/root/path',
    }),
  ];
}

/** The mount that is to be the root, as `slots.root`, where it is not made yet. */
function makeRoot(context: PlanContext): Step[] {
  const { root } = context.slots;
  const { overlay } = context.options;
  if (overlay !== undefined)
    return isMadeOutside(context.config, context.host) ? [] : planOverlay(context, overlay, root);
  const { rootfs } = context.bundle;
  return [
    call('open_tree', [AT_FDCWD, rootfs, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE], {
      label: `open rootfs ${JSON.stringify(rootfs)}`,
      pointer: '/root/path',
      result: root,
    }),
  ];
}

/** The overlay that is made before any namespace is entered. */
export function planOutsideRoot(context: PlanContext): Step[] {
  const { overlay } = context.options;
  if (overlay === undefined || !isMadeOutside(context.config, context.host)) return [];
  return planOverlay(context, overlay, context.slots.root);
}

/** Opens the rootfs by its path on the host as `slots.root`. */
export function openRootfs(context: PlanContext): Step {
  return call('openat', [AT_FDCWD, context.bundle.rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC, 0], {
    label: `open rootfs ${JSON.stringify(context.bundle.rootfs)}`,
    pointer: '/root/path',
    result: context.slots.root,
  });
}

/**
 * Makes the rootfs the root of the file system: adds the steps to the phases.
 *
 * In a new mount namespace by pivot_root(2), or MS_MOVE and chroot(2) with `--no-pivot`. In a joined or the host's own mount
 * namespace by chroot(2) alone: there the root of other processes must stay what it is.
 */
export function addEnterRoot(context: PlanContext, phases: PhaseList): void {
  const { root } = context.slots;
  const enter = call('fchdir', [root], { label: 'enter the rootfs' });
  const isNew = hasNewNamespace(context.config, 'mount');
  if (isNew && !context.options.noPivot) phases.add(planPivotRoot(context, enter));
  else if (isNew)
    phases.add([enter], planMoveRoot(context)).exchange('host-mounts', 'move the rootfs').add(planChroot());
  else phases.add([enter], planChroot());
}

/** man 2 pivot_root, "pivot_root(".", ".")": the old root ends up on top of the new one and is taken off. */
function planPivotRoot(context: PlanContext, enter: Step): Step[] {
  const open = (result: Region): Step[] => [
    call('openat', [AT_FDCWD, '/', O_PATH | O_DIRECTORY | O_CLOEXEC, 0], { label: 'open the old root', result }),
  ];
  return [
    ...withHandle(context, { name: 'old-root', open, closeLabel: 'close the old root' }, (oldRoot) => [
      enter,
      call('pivot_root', ['.', '.'], { label: 'make the rootfs the root', pointer: '/root/path' }),
      call('fchdir', [oldRoot], { label: 'enter the old root' }),
      // Unmounting must not propagate to the host, whatever rootfsPropagation says.
      call('mount', [0, '.', 0, MS_SLAVE | MS_REC, 0], { label: 'cut the old root off' }),
      call('umount2', ['.', MNT_DETACH], { label: 'unmount the old root' }),
    ]),
    call('chdir', ['/'], { label: 'enter the root' }),
  ];
}

/**
 * Moves the rootfs onto "/" and does not enter it yet: a lookup from "/" still starts in the old root, whose other mounts are hidden
 * next, by programs that need to know what they are (`planHideHost`).
 */
function planMoveRoot(context: PlanContext): Step[] {
  const { root, stat } = context.slots;
  return [
    // Neither the move nor what is unmounted may propagate to the host, whatever rootfsPropagation says.
    call('mount', [0, '/', 0, MS_PRIVATE, 0], { label: 'cut the old root off' }),
    call('mount', ['.', '/', 0, MS_MOVE, 0], { label: 'move the rootfs onto /', pointer: '/root/path' }),
    call('statx', [root, '', AT_EMPTY_PATH, STATX_MNT_ID, addressOf(stat)], {
      label: 'look at the mount of the rootfs',
    }),
    reply(context.descriptors.sync, 'host-mounts', 'wait until the mounts of the host are hidden', [stat]),
  ];
}

function planChroot(): Step[] {
  return [
    call('chroot', ['.'], { label: 'make the rootfs the root', pointer: '/root/path' }),
    call('chdir', ['/'], { label: 'enter the root' }),
  ];
}

/**
 * Shared and unbindable roots are made so when nothing is mounted any more: earlier they would be in the way of pivot_root and of
 * the bind mounts that mask paths.
 */
export function planFinalPropagation(context: PlanContext): Step[] {
  const kind = propagation(context);
  if (!hasNewNamespace(context.config, 'mount') || !/shared|unbindable/.test(kind)) return [];
  return [call('mount', [0, '/', 0, PROPAGATION_FLAGS[kind], 0], { label: `make the root ${kind}`, pointer: POINTER })];
}
