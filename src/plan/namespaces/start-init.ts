import { call } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import { FD_CLOEXEC, F_SETFD, PR_SET_DUMPABLE, PR_SET_NAME } from '../../util/constants.ts';
import type { PlanContext } from '../base/context.ts';
import { reserveHandOut } from './hand-out.ts';
import { reserveScratch } from '../base/scratch.ts';

/** Which descriptors an init has at its start and keeps; all others are closed. */
export interface StartInitOptions {
  /** The highest number of a descriptor that the parent gives. */
  readonly lastDescriptor: number;
  /** Numbers to keep for handles that init is going to hand out. */
  readonly handOut?: readonly number[];
}

/** The first steps of every init: exactly the descriptors it was given, all close-on-exec, and nobody may look into it. */
export function planStartInit(context: PlanContext, { lastDescriptor, handOut }: StartInitOptions): Step[] {
  const { sync } = context.descriptors;
  const own: Step[] = [];
  for (let number = sync; number <= lastDescriptor; number++) {
    // Numbers without a descriptor (those for a moment's use, a listener of `create` only) are passed over.
    own.push(
      call('fcntl', [number, F_SETFD, FD_CLOEXEC], { label: `close descriptor ${number} on exec`, accept: ['EBADF'] }),
    );
  }
  return [
    call('close_range', [lastDescriptor + 1, 0xffff_ffff, 0], { label: 'close inherited descriptors' }),
    ...own,
    ...reserveScratch(context.descriptors),
    ...reserveHandOut(context, handOut ?? []),
    // A process of a joined namespace must not be able to trace this one or to open its descriptors (CVE-2016-9962).
    call('prctl', [PR_SET_DUMPABLE, 0, 0, 0, 0], { label: 'be opaque to other processes' }),
    call('prctl', [PR_SET_NAME, 'tsrun:init', 0, 0, 0], { label: 'be called "tsrun:init"' }),
  ];
}

/**
 * The highest descriptor number that the parent gives to an init that creates a container, whose idmapped mounts use so many user
 * namespaces.
 */
export function lastCreateDescriptor({ descriptors }: PlanContext, idmaps: number): number {
  return descriptors.idmaps + idmaps - 1;
}
