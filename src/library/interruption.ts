import { AsyncLocalStorage } from 'node:async_hooks';
import { setInterruptions } from '../sys/events/interruption.ts';

/** How long somebody is interested in an operation. */
export interface Patience {
  /** Ends the operation, which fails with the signal's reason. */
  readonly signal?: AbortSignal;
  /** The same after so many milliseconds, with a DOMException named TimeoutError. */
  readonly timeoutMs?: number;
}

/** The signal of an operation reaches each of its waits, whoever makes them. */
const operations = new AsyncLocalStorage<AbortSignal | undefined>();

setInterruptions({
  current: () => operations.getStore(),
  exempt: (body) => operations.run(undefined, body),
});

/** Runs an operation until it is done, or nobody is interested any more. Errors: its own; the reason of the signal. */
export async function withPatience<T>({ signal, timeoutMs }: Patience, body: () => Promise<T>): Promise<T> {
  if (signal === undefined && timeoutMs === undefined) return await operations.run(undefined, body);
  signal?.throwIfAborted();
  // One of our own: a signal that lives as long as the program does shall not collect what was derived from it.
  const own = new AbortController();
  const onAbort = (): void => {
    own.abort(signal?.reason);
  };
  const onTimeout = (): void => {
    own.abort(new DOMException(`not done within ${timeoutMs ?? 0} ms`, 'TimeoutError'));
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(onTimeout, timeoutMs);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await operations.run(own.signal, body);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
