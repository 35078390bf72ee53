import type { LogDetails, LogSink } from '../log.ts';

/** Keeps messages back as long as the command may still be left to the caller's engine, which would say the same again. */
export class DeferredLog implements LogSink {
  readonly #log: LogSink;
  #kept: (() => void)[] | undefined = [];

  constructor(log: LogSink) {
    this.#log = log;
  }

  get isElsewhere(): boolean {
    return this.#log.isElsewhere;
  }

  /** Nothing is kept back. */
  get isEmpty(): boolean {
    return (this.#kept ?? []).length === 0;
  }

  debug(message: string): void {
    this.#say(() => {
      this.#log.debug(message);
    });
  }

  warning(message: string): void {
    this.#say(() => {
      this.#log.warning(message);
    });
  }

  error(message: string, details?: LogDetails): void {
    this.#say(() => {
      this.#log.error(message, details);
    });
  }

  /** From now on nothing is kept back. */
  release(): void {
    const kept = this.#kept ?? [];
    this.#kept = undefined;
    for (const say of kept) say();
  }

  [Symbol.dispose](): void {
    this.#log[Symbol.dispose]();
  }

  #say(say: () => void): void {
    if (this.#kept === undefined) say();
    else this.#kept.push(say);
  }
}
