import { call } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import { O_CLOEXEC } from '../../util/constants.ts';
import type { DescriptorNumbers } from './context.ts';

/**
 * Keeps the numbers that are for a moment's use taken between uses, by duplicates of the sync pipe: a number that is free would
 * be the next descriptor that the kernel hands out.
 */
export function reserveScratch({ sync, scratch }: DescriptorNumbers): Step[] {
  return scratch.map((number) => call('dup3', [sync, number, O_CLOEXEC], { label: `keep number ${number}` }));
}
