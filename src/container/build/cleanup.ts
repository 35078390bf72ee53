import type { Log } from '../../log.ts';
import { reasonOf } from '../../sys/errno.ts';
import { uninterrupted } from '../../sys/events/interruption.ts';

/**
 * What has to be undone when an operation fails half-way. Runs in reverse order; a part that fails is logged and does not keep
 * the others from running, nor hide the failure that brought us here.
 */
export class Cleanup {
  readonly #log: Log;
  readonly #parts: { readonly what: string; readonly undo: () => void | Promise<void> }[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  add(what: string, undo: () => void | Promise<void>): void {
    this.#parts.push({ what, undo });
  }

  async run(): Promise<void> {
    await uninterrupted(() => this.#undo());
  }

  async #undo(): Promise<void> {
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      try {
        await part.undo();
      } catch (error) {
        this.#log.warning(`${part.what}: ${reasonOf(error)}`);
      }
    }
  }
}
