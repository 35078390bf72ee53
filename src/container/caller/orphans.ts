import { catchSignals, type SignalCatch } from '../../sys/events/signals.ts';
import { peekEndedChild, reapChild, setChildSubreaper } from '../../sys/process/wait.ts';
import { SIGNALS } from '../../util/signals.ts';

/**
 * What the processes of a container leave behind when they end, where no init of a pid namespace takes care of it: while tsrun waits
 * in the foreground it is their next of kin, and reaps them.
 *
 * In two parts, because Node waits for its own children, the hooks, by itself: adopting starts before the program, reaping
 * only when no hook runs.
 */
export class Orphans implements Disposable {
  readonly #init: number;
  #children: SignalCatch | undefined;

  /** `init` is the child that somebody else waits for. Errors: `host`. */
  constructor(init: number) {
    this.#init = init;
    setChildSubreaper(true);
  }

  /** From now on every child that ends is reaped, but init. */
  reap(): void {
    this.#children = catchSignals([SIGNALS.CHLD], () => {
      this.#reapAll();
    });
    this.#reapAll();
  }

  /** Adopts and reaps no more. Processes that are left stay children of this one until it ends. */
  [Symbol.dispose](): void {
    this.#children?.[Symbol.dispose]();
    setChildSubreaper(false);
  }

  #reapAll(): void {
    // When init is next, the container is over.
    for (let pid = peekEndedChild(); pid !== undefined && pid !== this.#init; pid = peekEndedChild()) reapChild(pid);
  }
}
