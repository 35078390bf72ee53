import { TsrunError } from '../errors.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { passChanges, watchChanges } from '../sys/inotify.ts';
import { sleep, waitReadable } from '../sys/events/poll.ts';

/** Longest pause between two looks where the kernel sends no event. */
const PAUSE_MS_MAX = 50;

/**
 * Waits until `done` answers true, looking again whenever the kernel reports a change of `file` (cgroup.events does, through
 * inotify), and otherwise, or where the file cannot be watched, at growing intervals.
 *
 * Shape: false when `timeoutMs` passed first.
 */
export async function waitUntil(done: () => boolean, options: { file?: string; timeoutMs: number }): Promise<boolean> {
  // Mostly nothing is left to wait for, and the first watch of a process costs more than all of a removal.
  if (done()) return true;
  const deadline = Date.now() + options.timeoutMs;
  using changes = watchFile(options.file);
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    const restMs = deadline - Date.now();
    if (restMs <= 0) return false;
    await changes.next(Math.min(pauseMs, restMs));
    if (done()) return true;
  }
}

/** Resolves `next` at the next change or after so many milliseconds, whichever is first. */
function watchFile(file: string | undefined): Disposable & { next: (timeoutMs: number) => Promise<void> } {
  let changes: OwnedFd | undefined;
  try {
    if (file !== undefined) changes = watchChanges(file);
  } catch (error) {
    // Out of inotify watches, or the cgroup is gone: the intervals remain.
    if (!(error instanceof TsrunError)) throw error;
  }
  return {
    next: async (timeoutMs) => {
      if (changes === undefined) return pause(timeoutMs);
      if (await waitReadable(changes.number, timeoutMs)) passChanges(changes);
    },
    [Symbol.dispose]: () => changes?.close(),
  };
}

/** Resolves after so many milliseconds. */
export async function pause(ms: number): Promise<void> {
  await sleep(ms);
}
