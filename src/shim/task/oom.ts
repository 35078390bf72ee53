import { watchOom } from '../../cgroup/oom.ts';
import type { ContainerRecord } from '../../container/store/record.ts';
import { uninterrupted } from '../../sys/events/interruption.ts';
import { waitAny } from '../../sys/events/poll.ts';

/** Calls back each time that a container runs out of memory, until the signal ends it. Errors: `cgroup`, `host`. */
export async function followOom(
  { cgroup }: Pick<ContainerRecord, 'cgroup'>,
  signal: AbortSignal,
  tell: () => void,
): Promise<void> {
  using watch = watchOom(cgroup);
  const { entry } = watch;
  if (entry === undefined) return;
  while (!signal.aborted) {
    await uninterrupted(() => waitAny([entry], -1, { signal })).catch(() => undefined);
    // Also at the end: want of memory is a frequent cause.
    if (watch.take()) tell();
  }
}
