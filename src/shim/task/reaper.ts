import { callAfter } from '../../sys/events/poll.ts';
import { peekEndedChild, reapChild, setChildSubreaper } from '../../sys/process/wait.ts';

/** How long a process that nobody waits for may lie about. */
const INTERVAL_MS = 10_000;

/** Waits in the middle of an operation, which has made one child so far that is still to be reaped by it. */
export type Pause = (pid: number, until: Promise<void>) => Promise<void>;

/**
 * Reaps what the processes of containers leave behind where no init of a pid namespace does, since this process is their next of kin.
 *
 * An orphan cannot be told from a child whose pid nobody knows yet. So nothing is reaped while an operation runs that makes children;
 * what is claimed is reaped by whoever has claimed it.
 */
export class Reaper {
  readonly #claimed = new Set<number>();
  #operations = 0;

  constructor() {
    setChildSubreaper(true);
    this.#comeAgain();
  }

  /** Runs an operation that may make children; it can pause where there is none whose pid nobody knows. */
  async during<T>(operation: (pause: Pause) => Promise<T>): Promise<T> {
    this.#operations += 1;
    try {
      return await operation((pid, until) => this.#pause(pid, until));
    } finally {
      this.#operations -= 1;
      this.#reap();
    }
  }

  async #pause(pid: number, until: Promise<void>): Promise<void> {
    this.#claimed.add(pid);
    this.#operations -= 1;
    this.#reap();
    try {
      await until;
    } finally {
      this.#operations += 1;
      this.#claimed.delete(pid);
    }
  }

  /** A child that somebody else reaps, who has done so when `ended` resolves. */
  claim(pid: number, ended: Promise<unknown>): void {
    this.#claimed.add(pid);
    void ended.finally(() => {
      this.#claimed.delete(pid);
      this.#reap();
    });
  }

  #reap(): void {
    if (this.#operations > 0) return;
    // Where a claimed one comes first the others are looked at when it is reaped.
    for (let pid = peekEndedChild(); pid !== undefined && !this.#claimed.has(pid); pid = peekEndedChild())
      reapChild(pid);
  }

  #comeAgain(): void {
    callAfter(INTERVAL_MS, () => {
      this.#reap();
      this.#comeAgain();
    });
  }
}
