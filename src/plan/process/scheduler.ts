import { call } from '../../program/build.ts';
import type { Block, Step } from '../../program/step.ts';
import type { Process, Scheduler, SchedulerFlag, SchedulerPolicy } from '../../spec/generated/config.ts';
import type { PlanContext } from '../base/context.ts';
import { schedAttr } from '../../program/structs.ts';
import {
  SCHED_BATCH,
  SCHED_DEADLINE,
  SCHED_FIFO,
  SCHED_FLAG_DL_OVERRUN,
  SCHED_FLAG_KEEP_PARAMS,
  SCHED_FLAG_KEEP_POLICY,
  SCHED_FLAG_RECLAIM,
  SCHED_FLAG_RESET_ON_FORK,
  SCHED_FLAG_UTIL_CLAMP_MAX,
  SCHED_FLAG_UTIL_CLAMP_MIN,
  SCHED_IDLE,
  SCHED_ISO,
  SCHED_OTHER,
  SCHED_RR,
} from '../../util/constants.ts';

/** include/uapi/linux/sched.h */
const POLICIES: Readonly<Record<SchedulerPolicy, number>> = {
  SCHED_OTHER,
  SCHED_FIFO,
  SCHED_RR,
  SCHED_BATCH,
  SCHED_ISO,
  SCHED_IDLE,
  SCHED_DEADLINE,
};
const FLAGS: Readonly<Record<SchedulerFlag, number>> = {
  SCHED_FLAG_RESET_ON_FORK,
  SCHED_FLAG_RECLAIM,
  SCHED_FLAG_DL_OVERRUN,
  SCHED_FLAG_KEEP_POLICY,
  SCHED_FLAG_KEEP_PARAMS,
  SCHED_FLAG_UTIL_CLAMP_MIN,
  SCHED_FLAG_UTIL_CLAMP_MAX,
};

/** config.md, "Linux Process": `scheduler`, set on the process itself by sched_setattr(2). */
export function planScheduler({ config }: PlanContext, { scheduler }: Process): Step[] {
  if (scheduler === undefined) return [];
  const label = `set scheduler ${JSON.stringify(scheduler.policy)}`;
  // The kernel answers EPERM to a deadline task that may not run on every CPU of its root domain.
  const isConfined = scheduler.policy === 'SCHED_DEADLINE' && (config.linux?.resources?.cpu?.cpus ?? '') !== '';
  const hint = isConfined ? ' (it cannot be used together with linux.resources.cpu.cpus)' : '';
  return [
    call('sched_setattr', [0, attributesOf(scheduler), 0], {
      label,
      pointer: '/process/scheduler',
      ...(isConfined ? { failure: `${label}: {errno}${hint}` } : {}),
    }),
  ];
}

function attributesOf(scheduler: Scheduler): Block {
  const { policy, nice = 0, priority = 0, flags = [], runtime = 0, deadline = 0, period = 0 } = scheduler;
  const bits = flags.reduce((all, flag) => all | FLAGS[flag], 0);
  return schedAttr({ policy: POLICIES[policy], flags: bits, nice, priority, runtime, deadline, period });
}
