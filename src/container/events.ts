import { watchOom } from '../cgroup/oom.ts';
import { pollReadable, waitAny } from '../sys/events/poll.ts';
import { POLLIN } from '../util/constants.ts';
import { openRunning, readContainerStats } from './store/running-stats.ts';
import type { Runtime } from './caller/caller.ts';
import type { ContainerEvent, ContainerStats, EventOptions } from './store/options.ts';

/** Longest wait in one piece: whoever ends the stream from outside is heard that soon. */
const WAIT_MS_MAX = 1000;

/** What the kernel has counted for a container so far. Errors: `not-found`; `status` when it has ended; `cgroup`. */
export function containerStats(runtime: Runtime, id: string): ContainerStats {
  const { record, pidfd } = openRunning(runtime, id);
  pidfd.close();
  return readContainerStats(runtime, record);
}

/**
 * Statistics at every interval, the first after one, and each time that the container runs out of memory; ends with the container.
 *
 * Errors: those of `containerStats`, at the first element.
 */
export async function* containerEvents(
  runtime: Runtime,
  { id, intervalMs, signal }: EventOptions,
): AsyncGenerator<ContainerEvent, void, void> {
  const { record, pidfd } = openRunning(runtime, id);
  using _pidfd = pidfd;
  using oom = watchOom(record.cgroup);
  const entries = [{ fd: pidfd.number, events: POLLIN }, ...(oom.entry === undefined ? [] : [oom.entry])];
  let next = performance.now() + intervalMs;
  while (signal?.aborted !== true) {
    const waitMs = Math.min(WAIT_MS_MAX, Math.max(0, Math.ceil(next - performance.now())));
    const hasEnded = (await waitAny(entries, waitMs)).includes(pidfd.number);
    // Also when it has ended: want of memory is a frequent cause.
    if (oom.take()) yield { type: 'oom', id };
    if (hasEnded) return;
    if (performance.now() < next) continue;
    // Missed intervals are not made up for.
    next = Math.max(next + intervalMs, performance.now());
    const data = readContainerStats(runtime, record);
    // Of a container that ended in the meantime half of the numbers may be gone.
    const endedMeanwhile = pollReadable(pidfd.number, 0);
    if (!endedMeanwhile) yield { type: 'stats', id, data };
  }
}
