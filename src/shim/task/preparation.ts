/**
 * Something that is begun before it is asked for: it goes as far as nobody notices, and waits.
 *
 *     begun --> waits --> goes on when it is asked for, or is taken back when it is given up
 *       |
 *       +-----> failed: as if it had not been begun
 */
export class Preparation<Result> {
  /** What came of it. Undefined where it failed before it waited. Errors: those of what was begun, from then on. */
  readonly result: Promise<Result | undefined>;
  /** It goes on. */
  go: () => void = () => undefined;
  #giveUp: () => void = () => undefined;
  #hasWaited = false;

  constructor(begin: (hold: () => Promise<void>) => Promise<Result>) {
    const gate = new Promise<void>((resolve, reject) => {
      this.go = resolve;
      this.#giveUp = () => {
        reject(new Error('given up'));
      };
    });
    // Nobody may come to wait.
    gate.catch(() => undefined);
    const hold = (): Promise<void> => {
      this.#hasWaited = true;
      return gate;
    };
    this.result = begin(hold).catch((error: unknown) => {
      if (this.#hasWaited) throw error;
      return undefined;
    });
    this.result.catch(() => undefined);
  }

  /** Has it taken back. Resolves when that is done, unless it has yet to come to the point where it waits. */
  async giveUp(): Promise<void> {
    this.#giveUp();
    if (this.#hasWaited) await this.result.catch(() => undefined);
  }
}
