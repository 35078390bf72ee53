/** config.md, "Linux Process": `scheduler`. The conditions are those of sched_setattr(2). */
import type { Issue } from '../../errors.ts';
import { quote } from '../quote.ts';
import type { DraftConfig } from './draft.ts';

const base = '/process/scheduler';

// The kernel does not keep track of less: a runtime below 1024 ns is EINVAL.
const shortestRuntimeNs = 1024n;

/** Linux implements the policy. */
export function checkSchedulerPolicy({ process }: DraftConfig): Issue[] {
  if (process?.scheduler?.policy !== 'SCHED_ISO') return [];
  return [{ pointer: `${base}/policy`, message: 'is "SCHED_ISO", which Linux reserves but does not implement' }];
}

/** A static priority goes with SCHED_FIFO and SCHED_RR, which need one, and with no other policy. */
export function checkSchedulerPriority({ process }: DraftConfig): Issue[] {
  const { policy, priority = 0 } = process?.scheduler ?? {};
  if (policy === undefined) return [];
  const takesPriority = policy === 'SCHED_FIFO' || policy === 'SCHED_RR';
  if (takesPriority === priority > 0) return [];
  const message = takesPriority
    ? `is ${priority}, wanted 1 to 99 for ${quote(policy)}`
    : `is ${priority}, wanted none for ${quote(policy)}: only SCHED_FIFO and SCHED_RR take one`;
  return [{ pointer: `${base}/priority`, message }];
}

/** runtime, deadline and period go with SCHED_DEADLINE alone, where runtime <= deadline <= period. */
export function checkSchedulerDeadline({ process }: DraftConfig): Issue[] {
  const scheduler = process?.scheduler;
  if (scheduler?.policy === undefined) return [];
  if (scheduler.policy !== 'SCHED_DEADLINE') {
    const given = (['runtime', 'deadline', 'period'] as const).filter((name) => Number(scheduler[name] ?? 0) !== 0);
    return given.map((name) => ({
      pointer: `${base}/${name}`,
      message: `is ${scheduler[name]}, wanted none for ${quote(scheduler.policy)}: only SCHED_DEADLINE takes one`,
    }));
  }
  const runtime = BigInt(scheduler.runtime ?? 0);
  const deadline = BigInt(scheduler.deadline ?? 0);
  const period = BigInt(scheduler.period ?? 0) || deadline;
  if (runtime >= shortestRuntimeNs && runtime <= deadline && deadline <= period) return [];
  const found = `has runtime ${runtime}, deadline ${deadline} and period ${period}`;
  return [{ pointer: base, message: `${found}, wanted ${shortestRuntimeNs} <= runtime <= deadline <= period` }];
}
