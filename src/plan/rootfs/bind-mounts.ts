import { TsrunError } from '../../errors.ts';
import { call, failWhen, unless, when } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import type { Mount } from '../../spec/generated/config.ts';
import { MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH, MS_REMOUNT } from '../../util/constants.ts';
import { planBindFlags } from './bind-attributes.ts';
import { describeBind, makeBindMount, openSource, sourceKind, type BindMount } from './bind-source.ts';
import type { PlanContext } from '../base/context.ts';
import type { SourceKind } from '../base/facts.ts';
import { planCopiedLink } from './copied-link.ts';
import { failedWith } from '../base/failed-with.ts';
import { ensureInRoot, isDirectory, openInRoot, statHandle } from '../base/handles.ts';
import { closeHandle, withHandle } from '../base/with-handle.ts';
import { changeAttributesRecursively, changePropagation, type ChangeOptions } from './mount-attributes.ts';
import { refuseBindOnProc, refuseUnfollowedTarget } from './mount-target.ts';

/**
 * One bind mount: a detached copy of the source gets its attributes, and is then put onto the handle of its mount point in one
 * call. No moment exists at which the mount is there with weaker flags than asked for.
 *
 * `opened` is the source's mount where it was opened before, on the host.
 */
export function planBindMount(context: PlanContext, mount: Mount, index: number, opened: Region | undefined): Step[] {
  const bind = makeBindMount(context, mount, index);
  if ((bind.options.flags & MS_REMOUNT) !== 0) return planRemount(context, bind);
  if (bind.copiedLink !== undefined) return planCopiedLink(context, { ...bind, text: bind.copiedLink });
  const kind = sourceKind(context.bundle, bind);
  if (kind === undefined) {
    const problem = `the source was not looked at (/mounts/${index}/source)`;
    throw new TsrunError('bundle', `${describeBind(bind)}: ${problem}`);
  }
  if (opened !== undefined) return [...putTree(context, bind, opened, { kind, fromHost: true }), closeHandle(opened)];
  const open = (tree: Region): Step[] => openSource(context, bind, tree);
  return withHandle(context, { name: 'tree', open }, (tree) => putTree(context, bind, tree, { kind, fromHost: false }));
}

interface Source {
  readonly kind: SourceKind;
  /** It was opened with the host's privileges. */
  readonly fromHost: boolean;
}

function putTree(context: PlanContext, bind: BindMount, tree: Region, { kind, fromHost }: Source): Step[] {
  const label = describeBind(bind);
  const pointer = `/mounts/${bind.index}`;
  // What is inside the rootfs may be another thing when its turn comes.
  const isDirectory = kind === 'directory' && bind.inRootfs === undefined;
  const change = { label: `${label}: set options`, pointer: `${pointer}/options`, isDirectory };
  const attributes = planAttributes(context, bind, tree, { ...change, fromHost });
  const early = context.host.kernel.mountSetattr;
  const open = (target: Region): Step[] =>
    ensureTarget(context, bind, { tree, target }, kind === 'directory' ? 'directory' : 'file');
  return [
    ...(early ? attributes : []),
    ...withHandle(context, { name: 'target', open }, (target) => [
      ...refuseBindOnProc(context, bind, { tree, target }),
      ...attach(context, { tree, target }, { label, pointer, isDirectory }),
    ]),
    ...(early ? [] : attributes),
    ...planPropagation(context, bind, tree, change),
  ];
}

interface BindHandles {
  /** The mount. */
  readonly tree: Region;
  /** The mount point. */
  readonly target: Region;
}

interface AttachOptions {
  readonly label: string;
  readonly pointer: string;
  readonly isDirectory: boolean;
}

/** Onto a directory that is there a file cannot go: move_mount(2) calls that EINVAL, mount(2) and everybody who reads it ENOTDIR. */
function attach(
  context: PlanContext,
  handles: BindHandles,
  { label, pointer, isDirectory: is }: AttachOptions,
): Step[] {
  const { tree, target } = handles;
  const { answer } = context.slots;
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  const move = (more: { accept?: ['EINVAL']; result?: Region }): Step =>
    call('move_mount', [tree, '', target, '', flags], { label, pointer, ...more });
  if (is) return [move({})];
  const look = [
    statHandle(context, target, `${label}: look at the mount point`),
    failWhen(isDirectory(context), 'ENOTDIR', { label: `${label}: a file on a directory`, pointer }),
    move({}),
  ];
  return [
    move({ accept: ['EINVAL'], result: answer }),
    ...when(failedWith(answer, 'EINVAL'), look, `${label}: go on when it is there`),
  ];
}

function planAttributes(
  context: PlanContext,
  { options }: BindMount,
  mount: Region,
  change: ChangeOptions & { readonly fromHost: boolean },
): Step[] {
  return [
    ...planBindFlags(context, mount, options, change),
    ...changeAttributesRecursively(context, mount, options.recursive, change),
  ];
}

function planPropagation(
  context: PlanContext,
  bind: BindMount,
  mount: Region,
  { pointer, ...change }: ChangeOptions,
): Step[] {
  const label = `${describeBind(bind)}: set propagation`;
  const options = { ...change, ...(pointer === undefined ? {} : { pointer }), label };
  return bind.options.propagation.flatMap((flags) => changePropagation(context, mount, flags, options));
}

/** The mount point is what the source is: known in advance, but for a source that an earlier mount may provide. */
function ensureTarget(
  context: PlanContext,
  bind: BindMount,
  { tree, target }: BindHandles,
  kind: 'directory' | 'file',
): Step[] {
  const { mount, index, options, inRootfs } = bind;
  const noFollow = options.manner.targetLink === 'refuse';
  const common = { pointer: `/mounts/${index}/destination`, ...(noFollow ? { noFollow } : {}) };
  const ensure = (made: 'directory' | 'file') =>
    ensureInRoot(context, mount.destination, target, { kind: made, ...common });
  const refusal = noFollow
    ? refuseUnfollowedTarget(context, target, { label: describeBind(bind), pointer: common.pointer })
    : [];
  if (inRootfs === undefined) return [...ensure(kind), ...refusal];
  return [
    statHandle(context, tree, `look at ${JSON.stringify(bind.source)}`),
    ...when(isDirectory(context), ensure('directory'), 'have a directory when the source is one'),
    ...unless(isDirectory(context), ensure('file'), 'have a file when the source is no directory'),
    ...refusal,
  ];
}

/** `remount` changes the flags of what is mounted at the destination; there is no source. */
function planRemount(context: PlanContext, bind: BindMount): Step[] {
  const { destination } = bind.mount;
  const label = `remount ${JSON.stringify(destination)}`;
  const pointer = `/mounts/${bind.index}`;
  const change = { label: `${label}: set options`, pointer: `${pointer}/options` };
  const open = (target: Region): Step[] =>
    openInRoot(context, destination, target, { label, pointer: `${pointer}/destination` });
  return withHandle(context, { name: 'target', open }, (target) => [
    ...planAttributes(context, bind, target, { ...change, fromHost: false }),
    ...planPropagation(context, bind, target, change),
  ]);
}
