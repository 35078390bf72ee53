import { addressOf, call, equals, failWhen, not, when } from '../../program/build.ts';
import type { Condition, Region, Step } from '../../program/step.ts';
import type { BindMount } from './bind-source.ts';
import { describeBind } from './bind-source.ts';
import type { PlanContext } from '../base/context.ts';
import { components } from '../base/handles.ts';

/**
 * What may be mounted over what, by the types of the file systems that the opened handles are on: whatever symlinks an image has,
 * nothing but a proc stands in for the container's /proc (CVE-2019-19921). runc has the same rule, by paths.
 */

/** include/uapi/linux/magic.h. f_type is 8 bytes, the first of struct statfs. */
export const FILE_SYSTEMS = { proc: 0x9fa0n, sysfs: 0x6265_6572n, devpts: 0x1cd1n } as const;

/** Holds when the latest fstatfs(2) saw this type of file system. */
export function isFileSystem({ slots: { stat } }: PlanContext, type: keyof typeof FILE_SYSTEMS): Condition {
  return equals(stat, FILE_SYSTEMS[type], { text: `is a ${type}` });
}

/** Looks at the file system of a handle; the answer goes to `slots.stat`. */
export function lookAtFileSystem(context: PlanContext, handle: Region, label: string, pointer?: string): Step {
  return call('fstatfs', [handle, addressOf(context.slots.stat)], {
    label,
    ...(pointer === undefined ? {} : { pointer }),
  });
}

/**
 * A bind mount on /proc is one of a proc; elsewhere only a proc is bound on a proc. What the config may cover below /proc, by
 * name, the validator has decided.
 */
export function refuseBindOnProc(
  context: PlanContext,
  bind: BindMount,
  { tree, target }: { readonly tree: Region; readonly target: Region },
): Step[] {
  const pointer = `/mounts/${bind.index}`;
  const label = describeBind(bind);
  const shown = JSON.stringify(bind.mount.destination);
  const [first, second] = components(bind.mount.destination);
  if (first === 'proc' && second !== undefined) return [];
  const problem =
    first === 'proc'
      ? `cannot be mounted because it is not of type proc`
      : `cannot be mounted because it is inside /proc`;
  const source = [
    lookAtFileSystem(context, tree, `${label}: look at the source`, pointer),
    failWhen(not(isFileSystem(context, 'proc')), 'EPERM', { label, pointer, failure: `${label}: ${shown} ${problem}` }),
  ];
  if (first === 'proc') return source;
  return [
    lookAtFileSystem(context, target, `${label}: look at the destination`, pointer),
    ...when(isFileSystem(context, 'proc'), source, 'look at the source when the destination is a proc'),
  ];
}

/** No file system but proc and sysfs, which are mounted where no symlink leads, comes onto a proc. `label` says which. */
export function refuseMountOnProc(
  context: PlanContext,
  target: Region,
  { destination, label, pointer }: Readonly<Record<'destination' | 'label' | 'pointer', string>>,
): Step[] {
  const failure = `${label}: ${JSON.stringify(destination)} cannot be mounted because it is inside /proc`;
  if (components(destination)[0] === 'proc') return [];
  return [
    lookAtFileSystem(context, target, `${label}: look at the destination`, pointer),
    failWhen(isFileSystem(context, 'proc'), 'EPERM', { label, pointer, failure }),
  ];
}

/** `dest-nofollow` covers no symlink of the kernel's own file systems, which programs rely on. crun has the same rule. */
export function refuseUnfollowedTarget(
  context: PlanContext,
  target: Region,
  { label, pointer }: Readonly<Record<'label' | 'pointer', string>>,
): Step[] {
  const types = Object.keys(FILE_SYSTEMS) as (keyof typeof FILE_SYSTEMS)[];
  return [
    lookAtFileSystem(context, target, `${label}: look at the destination`, pointer),
    ...types.map((type) =>
      failWhen(isFileSystem(context, type), 'EPERM', {
        label,
        pointer,
        failure: `${label}: the destination is on a ${type}, which the option "dest-nofollow" may not cover`,
      }),
    ),
  ];
}
