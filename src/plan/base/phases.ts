import { programOf } from '../../program/series.ts';
import type { Part, Program, Topic } from '../../program/step.ts';
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
  #topics: Topic[] = [];
  #topic = '';

  /** What the parts that follow are about, for people; it ends with the next topic. */
  topic(name: string): this {
    this.#topic = name;
    return this;
  }

  add(...lists: readonly (readonly Part[])[]): this {
    const before = this.#parts.length;
    for (const parts of lists) this.#parts.push(...parts);
    const isNew = this.#topics.at(-1)?.name !== this.#topic;
    if (this.#parts.length > before && this.#topic !== '' && isNew)
      this.#topics.push({ name: this.#topic, part: before });
    return this;
  }

  /** Ends the program; its last step is the reply that the exchange answers. */
  exchange(exchange: At, name: string): this {
    const topics = this.#topics.length === 0 ? {} : { topics: this.#topics };
    const program = programOf({ name, replies: true, reply: EXCHANGES[exchange], ...topics }, this.#parts);
    this.#phases.push({ program, exchange });
    this.#parts = [];
    this.#topics = [];
    return this;
  }

  finish(): readonly Phase<At>[] {
    if (this.#parts.length > 0) throw new Error('bug: steps behind the last exchange');
    return this.#phases;
  }
}
