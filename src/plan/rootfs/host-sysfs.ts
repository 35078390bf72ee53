import { call, failWhen, isNegative, not, when } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
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
import { closeWord } from '../base/handles.ts';
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

/** Puts the host's /sys onto `words.target`, read-only throughout, when the result of mounting a sysfs in `words.existed` is an errno. */
export function planHostSysfs(
  context: PlanContext,
  options: ParsedMountOptions,
  step: { readonly label: string; readonly pointer: string },
): Step[] {
  const { existed, target, tree } = context.words;
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
  const onto = [tree, '', target, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH];
  const wrong = { ...step, failure: `${step.label}: "/sys" of the host is no sysfs` };
  const steps = [
    call('open_tree', [AT_FDCWD, '/sys', flags], {
      ...step,
      label: `${step.label}: open that of the host`,
      result: tree,
    }),
    lookAtFileSystem(context, tree, `${step.label}: look at that of the host`, step.pointer),
    failWhen(not(isFileSystem(context, 'sysfs')), 'ENODEV', wrong),
    ...changePropagation(context, tree, MS_PRIVATE | MS_REC, step),
    ...changeAttributesRecursively(context, tree, namedAttributes(options), step),
    call('move_mount', onto, { ...step, label: `${step.label}: bind that of the host` }),
    closeWord(tree),
  ];
  return when(isNegative(existed), steps, 'bind that of the host where the kernel refuses another');
}
