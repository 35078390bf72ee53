import { addressOf, at, call, equals, unless } from '../program/build.ts';
import type { Step } from '../program/step.ts';
import type { Process } from '../spec/generated/config.ts';
import { AT_EMPTY_PATH, STATX_BASIC_STATS } from '../util/constants.ts';
import type { PlanContext } from './context.ts';
import { isDeviceNumber } from './handles.ts';

const NAMES = ['stdin', 'stdout', 'stderr'];
/** (gid_t) -1: fchown(2) leaves the group as it is; a file system may want the one it has, such as the group `tty`. */
const UNCHANGED = 0xffff_ffff;

/**
 * Gives descriptors 0, 1 and 2 to the process's user, so that it can open /dev/stdout anew.
 *
 * What is the user's already and /dev/null are left alone. Not an error: EPERM, the owner is not mapped in the user namespace;
 * EINVAL, the same of the new owner; EROFS; ENOENT, an unlinked file on some network file systems.
 */
export function planStdioOwner(context: PlanContext, process: Process): Step[] {
  const uid = process.user?.uid ?? 0;
  const { stat } = context.words;
  // u32 stx_uid is at byte 20 of struct statx, the upper half of the word at 16.
  const isOwner = equals(at(stat, 16), BigInt(uid) << 32n, { mask: 0xffff_ffffn << 32n, text: `owner is ${uid}` });
  const isNull = isDeviceNumber(context, 1, 3);
  return NAMES.flatMap((name, fd) => {
    const chown = call('fchown', [fd, uid, UNCHANGED], {
      label: `give ${name} to uid ${uid}`,
      pointer: '/process/user/uid',
      accept: ['EPERM', 'EROFS', 'EINVAL', 'ENOENT'],
    });
    return [
      call('statx', [fd, '', AT_EMPTY_PATH, STATX_BASIC_STATS, addressOf(stat)], { label: `look at ${name}` }),
      ...unless(
        isNull,
        unless(isOwner, [chown], `leave ${name} to its owner`),
        `leave ${name} alone when it is /dev/null`,
      ),
    ];
  });
}
