/**
 * Turns of the event loop, for a process that makes several containers at once: what one of them does between two waits takes some
 * milliseconds, and without turns all of them would do it in one, while everything else in the process stands still.
 */

/** Operations under way. A command has one, and never waits here. */
let underWay = 0;
/** Who waits for a turn, the first to come first. */
const waiting: (() => void)[] = [];

/** Counts as an operation under way until it is disposed of. */
export function takePart(): Disposable {
  underWay += 1;
  return {
    [Symbol.dispose]: () => {
      underWay -= 1;
    },
  };
}

/** Resolves in a turn of the event loop that no other operation has; at once where there is no other. */
export async function nextTurn(): Promise<void> {
  if (underWay < 2) return;
  await new Promise<void>((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(giveTurn);
  });
}

function giveTurn(): void {
  waiting.shift()?.();
  // Queued now, it runs after the loop has gone round.
  if (waiting.length > 0) setImmediate(giveTurn);
}
