/** Who waits for a turn of the event loop, the first to come first. */
const waiting: (() => void)[] = [];

/** Calls back in a turn of the event loop that nobody else who asks here has: what each does then may take some milliseconds. */
export function inTurn(callback: () => void): void {
  waiting.push(callback);
  if (waiting.length === 1) setImmediate(giveTurn);
}

/** Whether somebody waits for a turn: the loop has to go round then, and not to wait for something to happen. */
export function isTurnWanted(): boolean {
  return waiting.length > 0;
}

function giveTurn(): void {
  waiting.shift()?.();
  // Queued now, it runs after the loop has gone round.
  if (waiting.length > 0) setImmediate(giveTurn);
}
