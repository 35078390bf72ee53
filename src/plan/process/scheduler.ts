import { block, call } from '../../program/build.ts';
import type { Block, Step } from '../../program/step.ts';
import type { Process, Scheduler, SchedulerFlag, SchedulerPolicy } from '../../spec/generated/config.ts';
import type { PlanContext } from '../base/context.ts';

/** include/uapi/linux/sched.h */
const POLICIES: Readonly<Record<SchedulerPolicy, number>> = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
};
const FLAGS: Readonly<Record<SchedulerFlag, number>> = {
  SCHED_FLAG_RESET_ON_FORK: 0x01,
  SCHED_FLAG_RECLAIM: 0x02,
  SCHED_FLAG_DL_OVERRUN: 0x04,
  SCHED_FLAG_KEEP_POLICY: 0x08,
  SCHED_FLAG_KEEP_PARAMS: 0x10,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40,
};

/** config.md, "Linux Process": `scheduler`, set on the process itself by sched_setattr(2). */
export function planScheduler({ config }: PlanContext, { scheduler }: Process): Step[] {
  if (scheduler === undefined) return [];
  const label = `set scheduler ${JSON.stringify(scheduler.policy)}`;
  // The kernel answers EPERM to a deadline task that may not run on every CPU of its root domain.
  const isConfined = scheduler.policy === 'SCHED_DEADLINE' && (config.linux?.resources?.cpu?.cpus ?? '') !== '';
  const hint = isConfined ? ' (it cannot be used together with linux.resources.cpu.cpus)' : '';
  return [
    call('sched_setattr', [0, schedulerAttributes(scheduler), 0], {
      label,
      pointer: '/process/scheduler',
      ...(isConfined ? { failure: `${label}: {errno}${hint}` } : {}),
    }),
  ];
}

const SCHED_ATTR_SIZE = 56;

/**
 * struct sched_attr, version 1: u32 size, u32 policy, u64 flags, i32 nice, u32 priority, u64 runtime, deadline and period in
 * nanoseconds, u32 util_min, util_max. Source: man 2 sched_setattr.
 */
function schedulerAttributes(scheduler: Scheduler): Block {
  const { policy, nice = 0, priority = 0, flags = [], runtime = 0, deadline = 0, period = 0 } = scheduler;
  const bytes = new Uint8Array(SCHED_ATTR_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, SCHED_ATTR_SIZE, true);
  view.setUint32(4, POLICIES[policy], true);
  view.setBigUint64(8, BigInt(flags.reduce((bits, flag) => bits | FLAGS[flag], 0)), true);
  view.setInt32(16, nice, true);
  view.setUint32(20, priority, true);
  view.setBigUint64(24, BigInt(runtime), true);
  view.setBigUint64(32, BigInt(deadline), true);
  view.setBigUint64(40, BigInt(period), true);
  const times = `runtime=${runtime}, deadline=${deadline}, period=${period}`;
  return block(bytes, `{${policy}, flags=${flags.join('|') || 0}, nice=${nice}, priority=${priority}, ${times}}`);
}
