import { currentInterruption } from './interruption.ts';
import { nowMs } from '../clock.ts';
import { inTurn } from './turn-queue.ts';

/** So long one piece of work keeps everything else in the process from going on. */
const BUDGET_MS = 2;

/** Long work that is cut into pieces: between two of them the event loop has a turn. */
export class Stretch {
  #startedMs = nowMs();

  /** To be called between any two steps of the work. Errors: the reason of who has interrupted the operation. */
  async rest(): Promise<void> {
    if (nowMs() - this.#startedMs < BUDGET_MS) return;
    await new Promise<void>(inTurn);
    currentInterruption()?.throwIfAborted();
    this.#startedMs = nowMs();
  }
}
