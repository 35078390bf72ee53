import type { ProcessEnd } from '../../library/process-end.ts';
import { parseSignal } from '../../util/signals.ts';

/** How a process ended, and when. */
export interface Exit {
  /** The code, or 128 and the number of a signal. */
  readonly status: number;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

/** The code of a process of whose end nobody knows more. */
export const UNKNOWN_STATUS = 255;

/** What the end of a process, just now, looks like on the wire. */
export function exitOf({ code, signal }: ProcessEnd): Exit {
  const number = signal === undefined ? undefined : parseSignal(signal);
  return { status: code ?? (number === undefined ? UNKNOWN_STATUS : 128 + number), atMs: Date.now() };
}
