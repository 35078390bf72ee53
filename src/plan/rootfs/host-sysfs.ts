import { call, failWhen, isNegative, not, when } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import {
  AT_FDCWD,
  AT_RECURSIVE,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../../util/constants.ts';
import { findNamespace, type PlanContext } from '../base/context.ts';
import { withHandle } from '../base/with-handle.ts';
import { changeAttributesRecursively, changePropagation } from './mount-attributes.ts';
import { namedAttributes, type ParsedMountOptions } from './mount-options.ts';
import { isFileSystem, lookAtFileSystem } from './mount-target.ts';

/**
 * Whether the host's /sys may stand in for a sysfs: the kernel refuses one in a user namespace that does not own the network
 * namespace (sysfs_init_fs_context), or to which the sysfs that is there is not fully visible. crun does the same, for
 * read-only ones alone.
 */
export function hasHostSysfs({ config, host }: PlanContext, type: string, options: ParsedMountOptions): boolean {
  const isInUserNamespace = findNamespace(config, 'user') !== undefined || host.identity.inUserNamespace;
  // All that is mounted below comes along, and only mount_setattr(2) makes all of it read-only.
  return type === 'sysfs' && isInUserNamespace && (options.flags & MS_RDONLY) !== 0 && host.kernel.mountSetattr;
}

/** Puts the host's /sys onto `target`, read-only throughout, when the result of mounting a sysfs in `slots.answer` is an errno. */
export function planHostSysfs(
  context: PlanContext,
  target: Region,
  options: ParsedMountOptions,
  step: { readonly label: string; readonly pointer: string },
): Step[] {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
  const wrong = { ...step, failure: `${step.label}: "/sys" of the host is no sysfs` };
  const open = (result: Region): Step[] => [
    call('open_tree', [AT_FDCWD, '/sys', flags], { ...step, label: `${step.label}: open that of the host`, result }),
  ];
  const steps = withHandle(context, { name: 'tree', open }, (tree) => [
    lookAtFileSystem(context, tree, `${step.label}: look at that of the host`, step.pointer),
    failWhen(not(isFileSystem(context, 'sysfs')), 'ENODEV', wrong),
    ...changePropagation(context, tree, MS_PRIVATE | MS_REC, step),
    ...changeAttributesRecursively(context, tree, namedAttributes(options), step),
    call('move_mount', [tree, '', target, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH], {
      ...step,
      label: `${step.label}: bind that of the host`,
    }),
  ]);
  return when(isNegative(context.slots.answer), steps, 'bind that of the host where the kernel refuses another');
}
