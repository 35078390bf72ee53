import { inTurn } from '../sys/events/turn-queue.ts';

/**
 * Turns of the event loop, for a process that makes several containers at once: what one of them does between two waits takes some
 * milliseconds, and without turns all of them would do it in one, while everything else in the process stands still.
 */

/** Operations under way. A command has one, and never waits here. */
let underWay = 0;
/** Conversations with init processes that are open. */
let talks = 0;

/** Counts as an operation under way until it is disposed of. */
export function takePart(): Disposable {
  underWay += 1;
  return {
    [Symbol.dispose]: () => {
      underWay -= 1;
    },
  };
}

/** Counts as an open conversation until it is disposed of. */
export function beginTalk(): Disposable {
  talks += 1;
  return {
    [Symbol.dispose]: () => {
      talks -= 1;
    },
  };
}

/** Whether nobody else would stand still while somebody who talks keeps this thread. */
export function isOnlyTalk(): boolean {
  return talks <= 1;
}

/** Resolves in a turn of the event loop that no other operation has; at once where there is no other. */
export async function nextTurn(): Promise<void> {
  if (underWay < 2) return;
  await new Promise<void>(inTurn);
}
