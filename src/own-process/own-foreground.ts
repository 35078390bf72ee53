import type { Runtime } from '../container/caller/caller.ts';
import type { RuntimeOptions } from '../container/store/options.ts';
import { catchSignals } from '../sys/events/signals.ts';
import { ownRuntime } from './own-process.ts';

/** The same for an operation that may wait in the foreground: with the signals of this process, and the terminal of its session. */
export function ownForegroundRuntime(options: RuntimeOptions): Runtime {
  return ownRuntime(options, { signals: catchSignals, terminal: '/dev/tty' });
}
