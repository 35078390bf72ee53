import { programOf } from '../../program/series.ts';
import type { Part, Program } from '../../program/step.ts';
import { EXCHANGES, type ExchangeName } from './exchanges.ts';

/** A program, and what its reply has the parent do. */
export interface Phase<At extends ExchangeName = ExchangeName> {
  readonly program: Program;
  readonly exchange: At;
}

/** Collects steps into phases: each exchange ends a program. */
export class PhaseList<At extends ExchangeName = ExchangeName> {
  readonly #phases: Phase<At>[] = [];
  #parts: Part[] = [];

  add(...lists: readonly (readonly Part[])[]): this {
    for (const parts of lists) this.#parts.push(...parts);
    return this;
  }

  /** Ends the program; its last step is the reply that the exchange answers. */
  exchange(exchange: At, name: string): this {
    const program = programOf({ name, replies: true, reply: EXCHANGES[exchange] }, this.#parts);
    this.#phases.push({ program, exchange });
    this.#parts = [];
    return this;
  }

  finish(): readonly Phase<At>[] {
    if (this.#parts.length > 0) throw new Error('bug: steps behind the last exchange');
    return this.#phases;
  }
}
