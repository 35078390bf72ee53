import { call } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import { PR_SET_DUMPABLE, PR_SET_NAME } from '../../util/constants.ts';
import type { PlanContext } from '../base/context.ts';
import { reserveHandOut } from './hand-out.ts';
import { planIdmapNamespaces } from '../rootfs/idmapped-mounts.ts';
import { reserveScratch } from '../base/scratch.ts';

const F_SETFD = 2;
const FD_CLOEXEC = 1;

/** The first steps of every init: exactly the descriptors it was given, all close-on-exec, and nobody may look into it. */
export function planStartInit(context: PlanContext, options: { readonly lastDescriptor: number }): Step[] {
  const { sync } = context.descriptors;
  const own: Step[] = [];
  for (let number = sync; number <= options.lastDescriptor; number++) {
    // Numbers without a descriptor (those for a moment's use, a listener of `create` only) are passed over.
    own.push(
      call('fcntl', [number, F_SETFD, FD_CLOEXEC], { label: `close descriptor ${number} on exec`, accept: ['EBADF'] }),
    );
  }
  return [
    call('close_range', [options.lastDescriptor + 1, 0xffff_ffff, 0], { label: 'close inherited descriptors' }),
    ...own,
    ...reserveScratch(context.descriptors),
    ...reserveHandOut(context),
    // A process of a joined namespace must not be able to trace this one or to open its descriptors (CVE-2016-9962).
    call('prctl', [PR_SET_DUMPABLE, 0, 0, 0, 0], { label: 'be opaque to other processes' }),
    call('prctl', [PR_SET_NAME, 'tsrun:init', 0, 0, 0], { label: 'be called "tsrun:init"' }),
  ];
}

/** The highest descriptor number that the parent gives to an init that creates a container. */
export function lastCreateDescriptor(context: PlanContext): number {
  return context.descriptors.idmaps + planIdmapNamespaces(context.config).length - 1;
}
