import { watchOom } from '../cgroup/oom.ts';
import { readStats } from '../cgroup/stats/stats.ts';
import { TsrunError } from '../errors.ts';
import { readNetworkInterfaces } from '../host/network-interfaces.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { pollReadable, waitAny } from '../sys/events/poll.ts';
import { POLLIN } from '../util/constants.ts';
import { openProcess } from './store/process-identity.ts';
import type { Runtime } from './caller/caller.ts';
import type { ContainerEvent, ContainerStats, EventOptions } from './store/options.ts';
import { StateDirectory } from './store/directory.ts';
import type { ContainerRecord } from './store/record.ts';
import { currentStatus } from './store/status.ts';

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

function readContainerStats({ caller }: Runtime, { cgroup, init }: ContainerRecord): ContainerStats {
  const networkInterfaces = init === undefined ? [] : readNetworkInterfaces(init.pid, caller);
  return { ...readStats(cgroup), networkInterfaces };
}

function openRunning(runtime: Runtime, id: string): { record: ContainerRecord; pidfd: OwnedFd } {
  using directory = new StateDirectory(runtime.root, id);
  const record = directory.readRecord();
  const status = currentStatus(directory, record);
  const isThere = status !== 'stopped' && status !== 'creating';
  const pidfd = isThere && record.init !== undefined ? openProcess(record.init) : undefined;
  if (pidfd === undefined) throw new TsrunError('status', `container with id ${id} is not running`);
  return { record, pidfd };
}
