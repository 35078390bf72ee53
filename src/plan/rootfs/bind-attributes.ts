import { addressOf, at, call, equals, failWhen, isNegative, not, when } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import { MOUNT_ATTR_NOSYMFOLLOW, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY } from '../../util/constants.ts';
import { findNamespace, type PlanContext } from '../base/context.ts';
import { STATFS_FLAGS } from './kept-attributes.ts';
import { changeAttributes, type ChangeOptions } from './mount-attributes.ts';
import {
  namedAttributes,
  namesFlags,
  replacedAttributes,
  type MountAttributes,
  type ParsedMountOptions,
} from './mount-options.ts';

/** The flags that a user namespace locks and that take their place in struct statfs, with their names. */
const LOCKABLE: readonly (readonly [number, string])[] = [
  [MS_RDONLY, 'MS_RDONLY'],
  [MS_NOSUID, 'MS_NOSUID'],
  [MS_NODEV, 'MS_NODEV'],
  [MS_NOEXEC, 'MS_NOEXEC'],
];

/**
 * Gives a bind mount the flags that its options name, and no others: those of the source go, as in runc 1.3 and crun. Without any
 * such option the source's stay, all of them.
 *
 * In a user namespace the flags of the mounts from outside are locked: they stay beside those of the options, and an option that
 * would clear one fails. `fromHost`: the mount was opened with the host's privileges, and the kernel does not know of the lock.
 */
export function planBindFlags(
  context: PlanContext,
  mount: Region,
  options: ParsedMountOptions,
  { fromHost, ...change }: ChangeOptions & { readonly fromHost: boolean },
): Step[] {
  if (!namesFlags(options)) return [];
  if (fromHost) return addToLocked(context, mount, options, change);
  const replaced = asKernelKnows(context, replacedAttributes(options));
  if (!mayBeLocked(context)) return changeAttributes(context, mount, replaced, change);
  const { answer } = context.slots;
  return [
    ...changeAttributes(context, mount, replaced, { ...change, accept: ['EPERM'], result: answer }),
    ...when(
      isNegative(answer),
      addToLocked(context, mount, options, change),
      'keep the flags of the source where they are locked',
    ),
  ];
}

function mayBeLocked({ config, host }: PlanContext): boolean {
  return findNamespace(config, 'user') !== undefined || host.identity.inUserNamespace;
}

function addToLocked(context: PlanContext, mount: Region, options: ParsedMountOptions, change: ChangeOptions): Step[] {
  const { stat } = context.slots;
  const { label } = change;
  const pointer = change.pointer === undefined ? {} : { pointer: change.pointer };
  const checks = LOCKABLE.filter(([flag]) => (options.cleared & flag) !== 0).map(([flag, name]) => {
    const isClear = equals(at(stat, STATFS_FLAGS), 0n, { mask: BigInt(flag), text: `${name} is not set` });
    const failure = `${label}: cannot clear locked flags ${name}: the source has it, and a user namespace cannot take it away`;
    return failWhen(not(isClear), 'EPERM', { label, failure, ...pointer });
  });
  const look = call('fstatfs', [mount, addressOf(stat)], { label, ...pointer });
  return [
    ...(checks.length === 0 ? [] : [look, ...checks]),
    ...changeAttributes(context, mount, besideLocked(context, options), change),
  ];
}

/** `nosymfollow` is never locked. */
function besideLocked(context: PlanContext, options: ParsedMountOptions): MountAttributes {
  const { set, clear } = namedAttributes(options);
  return asKernelKnows(context, { set, clear: clear | (MOUNT_ATTR_NOSYMFOLLOW & ~set) });
}

/** mount_setattr(2) came with Linux 5.12 and MOUNT_ATTR_NOSYMFOLLOW with 5.14. */
function asKernelKnows({ host: { kernel } }: PlanContext, { set, clear }: MountAttributes): MountAttributes {
  const [major, minor] = kernel.version;
  const knows = major > 5 || minor >= 14 || !kernel.mountSetattr;
  return { set, clear: knows ? clear : clear & ~MOUNT_ATTR_NOSYMFOLLOW };
}
