import { addressOf, at, call, equals, when } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY } from '../../util/constants.ts';
import type { PlanContext } from '../base/context.ts';

/** Attributes that mount(2) takes away in a remount unless it is told of them; their ST_ flags have the same values. */
const ALL_KEPT = [MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC];
/** Offset of f_flags in struct statfs (include/uapi/asm-generic/statfs.h). */
export const STATFS_FLAGS = 80;

/**
 * A remount by mount(2) that keeps the attributes which the mount has: one call for each combination, of which the one that fits is
 * executed. Attributes in `except` are the caller's own business.
 */
export function remountKeeping(
  context: PlanContext,
  handle: Region,
  options: { readonly label: string; readonly pointer?: string; readonly except: number },
  remount: (kept: number) => Step,
): Step[] {
  const { stat } = context.slots;
  const { label, pointer, except } = options;
  const candidates = ALL_KEPT.filter((flag) => (flag & except) === 0);
  const mask = candidates.reduce((all, flag) => all | flag, 0);
  const look = call('fstatfs', [handle, addressOf(stat)], { label, ...(pointer === undefined ? {} : { pointer }) });
  const cases = subsets(candidates).flatMap((kept) =>
    when(
      equals(at(stat, STATFS_FLAGS), BigInt(kept), { mask: BigInt(mask), text: `attributes are ${kept}` }),
      [remount(kept)],
      `keep the attributes ${kept}`,
    ),
  );
  return [look, ...cases];
}

/** All sums of some of the flags, none included. */
function subsets(flags: readonly number[]): number[] {
  return flags.reduce<number[]>((sums, flag) => [...sums, ...sums.map((sum) => sum | flag)], [0]);
}
