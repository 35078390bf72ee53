import type { Program, Step } from '../../program/step.ts';
import { EXCHANGES, type ExchangeName } from './exchanges.ts';

/** A program, and what its reply has the parent do. */
export interface Phase<At extends ExchangeName = ExchangeName> {
  readonly program: Program;
  readonly exchange: At;
}

/** Collects steps into phases: each exchange ends a program. */
export class PhaseList<At extends ExchangeName = ExchangeName> {
  readonly #phases: Phase<At>[] = [];
  #steps: Step[] = [];

  add(...lists: readonly (readonly Step[])[]): this {
    for (const steps of lists) this.#steps.push(...steps);
    return this;
  }

  /** Ends the program; its last step is the reply that the exchange answers. */
  exchange(exchange: At, name: string): this {
    const program = { name, steps: this.#steps, replies: true, reply: EXCHANGES[exchange] };
    this.#phases.push({ program, exchange });
    this.#steps = [];
    return this;
  }

  finish(): readonly Phase<At>[] {
    if (this.#steps.length > 0) throw new Error('bug: steps behind the last exchange');
    return this.#phases;
  }
}
