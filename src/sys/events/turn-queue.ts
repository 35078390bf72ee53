/** Who waits for a turn of the event loop, the first to come first. */
const waiting: (() => void)[] = [];

/** Calls back in a turn of the event loop that nobody else who asks here has: what each does then may take some milliseconds. */
export function inTurn(callback: () => void): void {
  waiting.push(callback);
  if (waiting.length === 1) setImmediate(giveTurn);
}

function giveTurn(): void {
  waiting.shift()?.();
  // Queued now, it runs after the loop has gone round.
  if (waiting.length > 0) setImmediate(giveTurn);
}
