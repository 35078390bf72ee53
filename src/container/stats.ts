import { totalMemory } from '../host/total-memory.ts';
import { usageOf, type Sample, type Usage } from '../plan/cgroup/usage.ts';
import { sleep } from '../sys/events/poll.ts';
import { nowMs } from '../sys/clock.ts';
import { TsrunError } from '../errors.ts';
import { openRunning, readContainerStats } from './store/running-stats.ts';
import type { Runtime } from './caller/caller.ts';
import { listIds } from './store/ids.ts';
import type { UsageOptions } from './store/options.ts';

/** What one container uses. */
export interface ContainerUsage extends Usage {
  readonly id: string;
}

/**
 * What containers use, again and again, the first time after an interval: the use of processors is what is between two looks. A container
 * that has ended is left out; the answers end when none of those that were asked for is left.
 *
 * Errors: at the first answer `not-found`, and `status` when it has ended, for each that was asked for; later `cgroup`.
 */
export async function* containerUsage(
  runtime: Runtime,
  { ids, intervalMs, once }: UsageOptions,
): AsyncGenerator<readonly ContainerUsage[], void, void> {
  const hostMemory = totalMemory();
  let before =
    ids.length > 0 ? new Map(ids.map((id) => [id, take(runtime, id)])) : takeAll(runtime, listIds(runtime.root));
  do {
    await sleep(intervalMs);
    const samples = takeAll(runtime, ids.length > 0 ? [...before.keys()] : listIds(runtime.root));
    if (ids.length > 0 && samples.size === 0) return;
    yield [...samples].map(([id, sample]) => ({ id, ...usageOf(sample, before.get(id), { hostMemory }) }));
    before = samples;
  } while (!once);
}

function take(runtime: Runtime, id: string): Sample {
  const { record, pidfd } = openRunning(runtime, id);
  pidfd.close();
  return { stats: readContainerStats(runtime, record), atMs: nowMs() };
}

/** It has ended, or it is damaged, which `list` warns of. */
const LEFT_OUT: ReadonlySet<string> = new Set(['status', 'not-found', 'state']);

function takeAll(runtime: Runtime, ids: readonly string[]): Map<string, Sample> {
  return new Map(
    ids.flatMap((id): [string, Sample][] => {
      try {
        return [[id, take(runtime, id)]];
      } catch (error) {
        if (error instanceof TsrunError && LEFT_OUT.has(error.code)) return [];
        throw error;
      }
    }),
  );
}
