/**
 * Who may interrupt what runs now.
 *
 * A wait belongs to an operation, and the operation to whoever asked for it and may have lost interest. All waits are made here, in
 * `sys/events`, so it is enough that they know: a signal that aborts makes the wait of its operation fail with the signal's reason, and
 * what is there to clean up after failures cleans up. Nothing of it exists in a command, which is ended by ending its process.
 */
export interface Interruptions {
  /** The signal of the operation that runs now; undefined where nobody interrupts it. */
  current(): AbortSignal | undefined;
  /** Runs something that belongs to no operation. */
  exempt<T>(body: () => T): T;
}

let interruptions: Interruptions = { current: () => undefined, exempt: (body) => body() };

/** Has somebody tell from now on which operation runs. */
export function setInterruptions(source: Interruptions): void {
  interruptions = source;
}

/** The signal that interrupts the operation that runs now; undefined where nobody does. */
export function currentInterruption(): AbortSignal | undefined {
  return interruptions.current();
}

/** Runs something to its end, whoever has lost interest: what cleans up, and what is reaped later. */
export function uninterrupted<T>(body: () => T): T {
  return interruptions.exempt(body);
}

/** Calls back, at once where that has happened already, when the operation that runs now is interrupted, unless disposed of before. */
export function onInterruption(callback: () => void): Disposable {
  const signal = currentInterruption();
  if (signal?.aborted === true) callback();
  else signal?.addEventListener('abort', callback, { once: true });
  return {
    [Symbol.dispose]: () => {
      signal?.removeEventListener('abort', callback);
    },
  };
}
