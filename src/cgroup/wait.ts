import { watch } from 'node:fs';

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
  let wake: (() => void) | undefined;
  let watcher: ReturnType<typeof watch> | undefined;
  try {
    if (file !== undefined) watcher = watch(file, { persistent: false }, () => wake?.());
    // The cgroup may vanish while it is watched; the next look tells.
    watcher?.on('error', () => undefined);
  } catch {
    // Out of inotify watches, or the cgroup is gone: the intervals remain.
  }
  return {
    next: async (timeoutMs) => {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
        timer = setTimeout(resolve, timeoutMs);
      });
      clearTimeout(timer);
    },
    [Symbol.dispose]: () => watcher?.close(),
  };
}

/** Resolves after so many milliseconds; node:timers/promises brings more along than the rest of a command. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
