import { TsrunError } from '../../errors.ts';
import { call, type CallOptions } from '../../program/build.ts';
import type { Block, Region, Step } from '../../program/step.ts';
import type { Errno } from '../../util/errno.ts';
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MS_BIND,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_REC,
  MS_REMOUNT,
  MS_STRICTATIME,
  O_CLOEXEC,
} from '../../util/constants.ts';
import type { PlanContext } from '../base/context.ts';
import { remountKeeping } from './kept-attributes.ts';
import type { MountAttributes } from './mount-options.ts';
import { reserveScratch } from '../base/scratch.ts';
import { MOUNT_ATTR_SIZE, mountAttr } from '../../program/structs.ts';

/** What the change is called and how it may end. What is no known directory takes the longer way before Linux 5.12. */
export interface ChangeOptions {
  readonly label: string;
  readonly pointer?: string;
  /** The handle is known to be a directory. */
  readonly isDirectory?: boolean;
  /** Errnos of the change after which the program goes on. */
  readonly accept?: readonly Errno[];
  /** Where the result of the change goes. */
  readonly result?: Region;
}

/**
 * Changes the attributes of the mount that `handle` refers to, and of it alone.
 *
 * Kernels before 5.12 lack mount_setattr(2); there the mount is remounted: a directory as ".", a file through /proc/self/fd and a
 * number known in advance, as it has no other handle form. The latter must come before pivot_root, while /proc is the host's.
 */
export function changeAttributes(
  context: PlanContext,
  handle: Region,
  attributes: MountAttributes,
  options: ChangeOptions,
): Step[] {
  if (attributes.set === 0 && attributes.clear === 0) return [];
  if (context.host.kernel.mountSetattr) return [setattr(handle, AT_EMPTY_PATH, mountAttr(attributes), options)];
  const flags = MS_REMOUNT | MS_BIND | mountFlags(attributes.set);
  const except = mountFlags(attributes.set | attributes.clear);
  return mountAgain(context, handle, options, (path, step) =>
    remountKeeping(context, handle, { ...step, except }, (kept) => call('mount', [0, path, 0, flags | kept, 0], step)),
  );
}

/** The same for the mount and all below it. Errors: `unsupported` without mount_setattr(2). */
export function changeAttributesRecursively(
  context: PlanContext,
  handle: Region,
  attributes: MountAttributes,
  options: ChangeOptions,
): Step[] {
  if (attributes.set === 0 && attributes.clear === 0) return [];
  requireMountSetattr(context, options, 'recursive mount options');
  return [setattr(handle, AT_EMPTY_PATH | AT_RECURSIVE, mountAttr(attributes), options)];
}

/** Sets the propagation (one MS_* type, with MS_REC for all below). */
export function changePropagation(context: PlanContext, handle: Region, flags: number, options: ChangeOptions): Step[] {
  if (!context.host.kernel.mountSetattr)
    return mountAgain(context, handle, options, (path, step) => [call('mount', [0, path, 0, flags, 0], step)]);
  const scope = AT_EMPTY_PATH | ((flags & MS_REC) !== 0 ? AT_RECURSIVE : 0);
  return [setattr(handle, scope, mountAttr({ propagation: flags & ~MS_REC }), options)];
}

/** Throws `unsupported` where the kernel has no mount_setattr(2). */
export function requireMountSetattr(context: PlanContext, options: ChangeOptions, what: string): void {
  if (context.host.kernel.mountSetattr) return;
  const version = context.host.kernel.version.join('.');
  throw new TsrunError('unsupported', `${options.label}: ${what} need Linux 5.12, found ${version}`, {
    pointer: options.pointer,
  });
}

function setattr(handle: Region, flags: number, attr: Block, options: ChangeOptions): Step {
  return call('mount_setattr', [handle, '', flags, attr, MOUNT_ATTR_SIZE], stepOptions(options));
}

function stepOptions({ label, pointer, accept, result }: ChangeOptions): CallOptions {
  return {
    label,
    ...(pointer === undefined ? {} : { pointer }),
    ...(accept === undefined ? {} : { accept }),
    ...(result === undefined ? {} : { result }),
  };
}

/** Names the mount for mount(2): "." for a directory, a number below /proc/self/fd for a file. */
function mountAgain(
  context: PlanContext,
  handle: Region,
  { isDirectory, ...options }: ChangeOptions,
  steps: (path: string, step: CallOptions) => readonly Step[],
): Step[] {
  const step = stepOptions(options);
  if (isDirectory === true) return [call('fchdir', [handle], { label: `enter ${handle.name}` }), ...steps('.', step)];
  const [number] = context.descriptors.scratch;
  return [
    call('dup3', [handle, number, O_CLOEXEC], { label: `number ${handle.name} ${number}` }),
    ...steps(`/proc/self/fd/${number}`, step),
    ...reserveScratch(context.descriptors),
  ];
}

function mountFlags(attributes: number): number {
  const table: readonly (readonly [number, number])[] = [
    [MOUNT_ATTR_RDONLY, MS_RDONLY],
    [MOUNT_ATTR_NOSUID, MS_NOSUID],
    [MOUNT_ATTR_NODEV, MS_NODEV],
    [MOUNT_ATTR_NOEXEC, MS_NOEXEC],
    [MOUNT_ATTR_NODIRATIME, MS_NODIRATIME],
    [MOUNT_ATTR_NOATIME, MS_NOATIME],
    [MOUNT_ATTR_STRICTATIME, MS_STRICTATIME],
    [MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW],
  ];
  return table.reduce((all, [attribute, flag]) => ((attributes & attribute) === 0 ? all : all | flag), 0);
}
