import t from 'tap';
import type { Scheduler } from '../../../src/spec/generated/config.ts';
import {
  checkSchedulerDeadline,
  checkSchedulerPolicy,
  checkSchedulerPriority,
} from '../../../src/spec/rules/scheduler.ts';
import { checkRows } from './rows.ts';

const withScheduler = (scheduler: Scheduler) => ({ process: { scheduler } });

checkRows(t, checkSchedulerPolicy, {
  accepted: [{}, withScheduler({ policy: 'SCHED_IDLE' })],
  refused: [[withScheduler({ policy: 'SCHED_ISO' }), '/process/scheduler/policy', 'does not implement']],
});

checkRows(t, checkSchedulerPriority, {
  accepted: [
    {},
    { process: { scheduler: {} } },
    withScheduler({ policy: 'SCHED_RR', priority: 1 }),
    withScheduler({ policy: 'SCHED_OTHER', priority: 0 }),
  ],
  refused: [
    [withScheduler({ policy: 'SCHED_FIFO' }), '/process/scheduler/priority', 'wanted 1 to 99 for "SCHED_FIFO"'],
    [
      withScheduler({ policy: 'SCHED_BATCH', priority: 5 }),
      '/process/scheduler/priority',
      'only SCHED_FIFO and SCHED_RR',
    ],
  ],
});

checkRows(t, checkSchedulerDeadline, {
  accepted: [
    {},
    withScheduler({ policy: 'SCHED_DEADLINE', runtime: 1024, deadline: 2048 }),
    withScheduler({ policy: 'SCHED_DEADLINE', runtime: 1024n, deadline: 2048n, period: 2n ** 62n }),
    withScheduler({ policy: 'SCHED_DEADLINE', runtime: 2048, deadline: 2048 }),
    withScheduler({ policy: 'SCHED_DEADLINE', runtime: 1024, deadline: 2048, period: 2048 }),
    withScheduler({ policy: 'SCHED_OTHER', runtime: 0 }),
  ],
  refused: [
    [withScheduler({ policy: 'SCHED_OTHER', period: 5 }), '/process/scheduler/period', 'only SCHED_DEADLINE takes one'],
    [withScheduler({ policy: 'SCHED_DEADLINE' }), '/process/scheduler', 'runtime <= deadline <= period'],
    [withScheduler({ policy: 'SCHED_DEADLINE', runtime: 1023, deadline: 2048 }), '/process/scheduler', 'runtime 1023'],
    [withScheduler({ policy: 'SCHED_DEADLINE', runtime: 4096, deadline: 2048 }), '/process/scheduler', 'runtime 4096'],
    [withScheduler({ policy: 'SCHED_DEADLINE', runtime: 2049, deadline: 2048 }), '/process/scheduler', 'runtime 2049'],
    [
      withScheduler({ policy: 'SCHED_DEADLINE', runtime: 1024, deadline: 2048, period: 2047 }),
      '/process/scheduler',
      'period 2047',
    ],
  ],
});
