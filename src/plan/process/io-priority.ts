import { call } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import type { IoPriorityClass, Process } from '../../spec/generated/config.ts';
import {
  IOPRIO_CLASS_BE,
  IOPRIO_CLASS_IDLE,
  IOPRIO_CLASS_RT,
  IOPRIO_CLASS_SHIFT,
  IOPRIO_WHO_PROCESS,
} from '../../util/constants.ts';

/** include/uapi/linux/ioprio.h */
const CLASSES: Readonly<Record<IoPriorityClass, number>> = {
  IOPRIO_CLASS_RT,
  IOPRIO_CLASS_BE,
  IOPRIO_CLASS_IDLE,
};

/** config.md, "Linux Process": `ioPriority`, set on the process itself by ioprio_set(2). */
export function planIoPriority({ ioPriority }: Process): Step[] {
  if (ioPriority === undefined) return [];
  const { class: ioClass, priority = 0 } = ioPriority;
  return [
    call('ioprio_set', [IOPRIO_WHO_PROCESS, 0, (CLASSES[ioClass] << IOPRIO_CLASS_SHIFT) | priority], {
      label: `set I/O priority ${JSON.stringify(ioClass)} ${priority}`,
      pointer: '/process/ioPriority',
    }),
  ];
}
