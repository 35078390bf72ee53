import { addressOf, at, call, equals, failWhen, not, unless, when } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import type { Process } from '../../spec/generated/config.ts';
import { AT_EMPTY_PATH, O_NOCTTY, O_RDWR, S_IFCHR, STATX_BASIC_STATS } from '../../util/constants.ts';
import type { PlanContext } from '../base/context.ts';
import { isDeviceNumber, isFileType, openInRoot, statHandle } from '../base/handles.ts';
import { withHandle } from '../base/with-handle.ts';

const NAMES = ['stdin', 'stdout', 'stderr'];
/** (gid_t) -1: fchown(2) leaves the group as it is; a file system may want the one it has, such as the group `tty`. */
const UNCHANGED = 0xffff_ffff;

/**
 * Gives descriptors 0, 1 and 2 to the process's user, so that it can open /dev/stdout anew: its own terminal, or what a caller that does
 * not wait for it has made for it. What a caller lends in the foreground stays as it is.
 *
 * What is the user's already is left alone, and every device: a terminal, or /dev/null, is still used by others. Not an error: EPERM,
 * the owner is not mapped in the user namespace; EINVAL, the same of the new owner; EROFS; ENOENT, an unlinked file on some network file
 * systems.
 */
export function planStdioOwner(context: PlanContext, process: Process): Step[] {
  const uid = process.user?.uid ?? 0;
  const chown = (fd: number, name: string): Step =>
    call('fchown', [fd, uid, UNCHANGED], {
      label: `give ${name} to uid ${uid}`,
      pointer: '/process/user/uid',
      accept: ['EPERM', 'EROFS', 'EINVAL', 'ENOENT'],
    });
  if (process.terminal === true) return [chown(0, 'the terminal')];
  if (context.options.lendsStdio === true) return [];
  const { stat } = context.slots;
  // u32 stx_uid is at byte 20 of struct statx, the upper half of the word at 16.
  const isOwner = equals(at(stat, 16), BigInt(uid) << 32n, { mask: 0xffff_ffffn << 32n, text: `owner is ${uid}` });
  const isDevice = isFileType(context, S_IFCHR, 'a character device');
  return NAMES.flatMap((name, fd) => [
    call('statx', [fd, '', AT_EMPTY_PATH, STATX_BASIC_STATS, addressOf(stat)], { label: `look at ${name}` }),
    ...unless(
      isDevice,
      unless(isOwner, [chown(fd, name)], `leave ${name} to its owner`),
      `leave ${name} alone when it is a device`,
    ),
  ]);
}

/**
 * Puts the container's own /dev/null in the place of the host's among descriptors 0, 1 and 2, so that they do not hold on to
 * a mount of the host. It is verified before it is used (CVE-2025-31133); where there is no such device they stay as they are.
 *
 * For `create`, when the root is entered and the container has no processes that could exchange the file.
 */
export function planNullStdio(context: PlanContext): Step[] {
  const isNull = isDeviceNumber(context, 1, 3);
  const isDevice = isFileType(context, S_IFCHR, 'a character device');
  const lookup = { noSymlinks: true, label: 'open /dev/null of the container' };
  const find = (target: Region): Step[] =>
    openInRoot(context, '/dev/null', target, { ...lookup, accept: ['ENOENT', 'ENOTDIR', 'ELOOP'] });
  // EACCES: a /dev that is mounted with nodev.
  const open = (source: Region): Step[] =>
    openInRoot(context, '/dev/null', source, {
      ...lookup,
      access: O_RDWR | O_NOCTTY,
      accept: ['EACCES', 'EPERM'],
    });
  const optional = 'leave the standard descriptors when the container has no /dev/null';
  return withHandle(context, { name: 'target', open: find, optional }, (target) => [
    statHandle(context, target, 'look at /dev/null of the container'),
    ...when(
      isNull,
      when(
        isDevice,
        withHandle(context, { name: 'source', open, optional: true }, (source) => [
          statHandle(context, source, 'look at /dev/null of the container'),
          failWhen(not(isNull), 'ENODEV', { label: 'open /dev/null of the container: it was replaced' }),
          ...NAMES.flatMap((name, fd) => replaceNull(context, source, { name, fd })),
        ]),
      ),
      'leave the standard descriptors unless it is that device',
    ),
  ]);
}

function replaceNull(context: PlanContext, source: Region, { name, fd }: { name: string; fd: number }): Step[] {
  const isDevice = isFileType(context, S_IFCHR, 'a character device');
  const { stat } = context.slots;
  const dup = call('dup3', [source, fd, 0], { label: `make ${name} the /dev/null of the container` });
  return [
    call('statx', [fd, '', AT_EMPTY_PATH, STATX_BASIC_STATS, addressOf(stat)], { label: `look at ${name}` }),
    ...when(isDeviceNumber(context, 1, 3), when(isDevice, [dup]), `leave ${name} unless it is /dev/null`),
  ];
}
