import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_BIND,
  MS_MOVE,
  MS_PRIVATE,
  MS_REMOUNT,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
  OPEN_TREE_CLONE,
  S_IFDIR,
} from '../../util/constants.ts';
import type { CallName } from '../calls.ts';
import type { CallModel } from './call-model.ts';
import { attach, bind, isType, makeTree, ModelErrno, pathOf, visible, type ModelFile } from './files.ts';
import type { ModelState } from './state.ts';

/** Flags with which mount(2) changes a mount that is there. */
const CHANGES = MS_REMOUNT | MS_PRIVATE | MS_SHARED | MS_SLAVE | MS_UNBINDABLE;

/** The calls on mounts and on the process's root. */
export const MOUNT_CALLS: Partial<Record<CallName, CallModel>> = {
  mount: (kernel, args, memory) => {
    const flags = args.int(3);
    const target = kernel.find(AT_FDCWD, memory.readText(args.raw(1)));
    if ((flags & CHANGES) !== 0) return record(kernel, 'mount', '', target);
    if ((flags & (MS_BIND | MS_MOVE)) !== 0) {
      const source = kernel.find(AT_FDCWD, memory.readText(args.raw(0)));
      if ((flags & MS_MOVE) !== 0) detach(source);
      return mountOn(kernel, { call: 'mount', type: 'bind', root: bind(source), target });
    }
    const type = memory.readText(args.raw(2));
    return mountOn(kernel, { call: 'mount', type, root: makeTree(kernel.filesystems[type] ?? {}, type), target });
  },
  umount2: (kernel, args, memory) => {
    const target = kernel.find(AT_FDCWD, memory.readText(args.raw(0)));
    // The topmost directory, or after pivot_root(2) the old one, lies on nothing in this model.
    const isTop = target.parent === target || target === kernel.root;
    if (target.covers === undefined && !isTop) throw new ModelErrno('EINVAL');
    record(kernel, 'umount2', '', target);
    if (!isTop) detach(target);
    return 0;
  },
  pivot_root: (kernel, args, memory) => {
    const root = kernel.find(AT_FDCWD, memory.readText(args.raw(0)));
    kernel.find(AT_FDCWD, memory.readText(args.raw(1)));
    record(kernel, 'pivot_root', '', root);
    return enter(kernel, root);
  },
  chroot: (kernel, args, memory) => {
    const root = kernel.find(AT_FDCWD, memory.readText(args.raw(0)));
    if (!isType(root, S_IFDIR)) throw new ModelErrno('ENOTDIR');
    kernel.root = root;
    return 0;
  },
  open_tree: (kernel, args, memory) => {
    const flags = args.int(2);
    const file = kernel.find(args.int(0), memory.readText(args.raw(1)), {
      emptyPath: (flags & AT_EMPTY_PATH) !== 0,
      noFollow: (flags & AT_SYMLINK_NOFOLLOW) !== 0,
    });
    if ((flags & OPEN_TREE_CLONE) === 0) return kernel.install({ kind: 'file', file, flags: 0 });
    return kernel.install({ kind: 'file', file: bind(file), flags: 0, type: 'bind' });
  },
  move_mount: (kernel, args, memory) => {
    const flags = args.int(4);
    const [sourceText, targetText] = [memory.readText(args.raw(1)), memory.readText(args.raw(3))];
    const root = kernel.find(args.int(0), sourceText, { emptyPath: (flags & MOVE_MOUNT_F_EMPTY_PATH) !== 0 });
    const target = kernel.find(args.int(2), targetText, { emptyPath: (flags & MOVE_MOUNT_T_EMPTY_PATH) !== 0 });
    if (root.covers !== undefined) detach(root);
    const type = sourceText === '' ? (kernel.openFile(args.int(0)).type ?? '') : '';
    return mountOn(kernel, { call: 'move_mount', type, root, target });
  },
  fsopen: (kernel, args, memory) =>
    kernel.install({ kind: 'filesystem', flags: 0, type: memory.readText(args.raw(0)) }),
  fsconfig: (kernel, args) => {
    if (kernel.openFile(args.int(0)).kind !== 'filesystem') throw new ModelErrno('EINVAL');
    return 0;
  },
  fsmount: (kernel, args) => {
    const { kind, type = '' } = kernel.openFile(args.int(0));
    if (kind !== 'filesystem') throw new ModelErrno('EINVAL');
    return kernel.install({ kind: 'file', file: makeTree(kernel.filesystems[type] ?? {}, type), flags: 0, type });
  },
  mount_setattr: (kernel, args, memory) => {
    const emptyPath = (args.int(2) & AT_EMPTY_PATH) !== 0;
    return record(kernel, 'mount_setattr', '', kernel.find(args.int(0), memory.readText(args.raw(1)), { emptyPath }));
  },
};

function mountOn(
  kernel: ModelState,
  { call, type, root, target }: { call: CallName; type: string; root: ModelFile; target: ModelFile },
): number {
  if (isType(root, S_IFDIR) !== isType(target, S_IFDIR)) throw new ModelErrno('ENOTDIR');
  record(kernel, call, type, target);
  attach(root, visible(target));
  return 0;
}

function record(kernel: ModelState, call: CallName, type: string, target: ModelFile): number {
  kernel.mounts.push({ call, type, target: pathOf(target) });
  return 0;
}

/** Takes the root of a mount from what it lies on; throws EINVAL for any other file. */
function detach(root: ModelFile): void {
  const { covers } = root;
  if (covers === undefined) throw new ModelErrno('EINVAL');
  covers.mounts.splice(covers.mounts.indexOf(root), 1);
  root.covers = undefined;
}

function enter(kernel: ModelState, root: ModelFile): number {
  if (!isType(root, S_IFDIR)) throw new ModelErrno('ENOTDIR');
  kernel.root = root;
  kernel.cwd = root;
  return 0;
}
