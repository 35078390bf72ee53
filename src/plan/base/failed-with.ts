import { describePlace, equals } from '../../program/build.ts';
import type { Condition, Place, Region } from '../../program/step.ts';
import { ERRNO, type Errno } from '../../util/errno.ts';

/** Holds when the call whose result is in the word failed with this errno. */
export function failedWith(result: Region | Place, errno: Errno): Condition {
  const wanted = BigInt.asUintN(64, BigInt(-ERRNO[errno]));
  return equals(result, wanted, { text: `${describePlace(result)} == -${errno}` });
}
