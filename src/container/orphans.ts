import { peekEndedChild, reapChild, setChildSubreaper } from '../sys/wait.ts';

/**
 * What the processes of a container leave behind when they end, where no init of a pid namespace takes care of it: while tsrun waits
 * in the foreground it is their next of kin, and reaps them.
 *
 * In two parts, because Node waits for its own children, the hooks, by itself: adopting starts before the program, reaping
 * only when no hook runs.
 */
export class Orphans implements Disposable {
  readonly #init: number;
  readonly #reap: () => void;

  /** `init` is the child that somebody else waits for. Errors: `host`. */
  constructor(init: number) {
    this.#init = init;
    this.#reap = () => {
      this.#reapAll();
    };
    setChildSubreaper(true);
  }

  /** From now on every child that ends is reaped, but init. */
  reap(): void {
    process.on('SIGCHLD', this.#reap);
    this.#reapAll();
  }

  /** Adopts and reaps no more. Processes that are left stay children of this one until it ends. */
  [Symbol.dispose](): void {
    process.off('SIGCHLD', this.#reap);
    setChildSubreaper(false);
  }

  #reapAll(): void {
    // When init is next, the container is over.
    for (let pid = peekEndedChild(); pid !== undefined && pid !== this.#init; pid = peekEndedChild()) reapChild(pid);
  }
}
