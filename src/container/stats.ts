import { totalMemory } from '../host/total-memory.ts';
import { usageOf, type Sample, type Usage } from '../plan/cgroup/usage.ts';
import { sleep } from '../sys/events/poll.ts';
import { nowMs } from '../sys/clock.ts';
import { TsrunError } from '../errors.ts';
import type { Runtime } from './caller/caller.ts';
import { containerStats } from './events.ts';
import { listContainers } from './list.ts';
import type { UsageOptions } from './store/options.ts';

/** What one container uses. */
export interface ContainerUsage extends Usage {
  readonly id: string;
}

/**
 * What containers use, again and again, the first time after an interval: the use of processors is what is between two looks. A container
 * that has ended is left out; the answers end when none of those that were asked for is left.
 *
 * Errors: at the first answer those of `containerStats` for each that was asked for; later `cgroup`.
 */
export async function* containerUsage(
  runtime: Runtime,
  { ids, intervalMs, once }: UsageOptions,
): AsyncGenerator<readonly ContainerUsage[], void, void> {
  const hostMemory = totalMemory();
  let before =
    ids.length > 0 ? new Map(ids.map((id) => [id, take(runtime, id)])) : takeAll(runtime, idsOfRunning(runtime));
  do {
    await sleep(intervalMs);
    const samples = takeAll(runtime, ids.length > 0 ? [...before.keys()] : idsOfRunning(runtime));
    if (ids.length > 0 && samples.size === 0) return;
    yield [...samples].map(([id, sample]) => ({ id, ...usageOf(sample, before.get(id), { hostMemory }) }));
    before = samples;
  } while (!once);
}

function idsOfRunning(runtime: Runtime): string[] {
  return listContainers(runtime)
    .filter(({ status }) => status !== 'stopped' && status !== 'creating')
    .map(({ id }) => id);
}

function take(runtime: Runtime, id: string): Sample {
  return { stats: containerStats(runtime, id), atMs: nowMs() };
}

function takeAll(runtime: Runtime, ids: readonly string[]): Map<string, Sample> {
  return new Map(
    ids.flatMap((id): [string, Sample][] => {
      try {
        return [[id, take(runtime, id)]];
      } catch (error) {
        if (error instanceof TsrunError && (error.code === 'status' || error.code === 'not-found')) return [];
        throw error;
      }
    }),
  );
}
