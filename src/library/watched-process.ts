import { hasErrno } from '../sys/errno.ts';
import { uninterrupted } from '../sys/events/interruption.ts';
import { sleep, waitAny } from '../sys/events/poll.ts';
import { POLLIN } from '../util/constants.ts';
import { duplicateAbove, type OwnedFd } from '../sys/fd.ts';
import { pidfdOpen, pidfdSendSignal } from '../sys/process/pidfd.ts';
import { reapByPidfd, type ExitStatus } from '../sys/process/wait.ts';
import { type Patience, withPatience } from './interruption.ts';
import { describeEnd, type OomCounter, type ProcessEnd } from './process-end.ts';

/** How often one that has ended is looked at while another process traces it. */
const TRACED_MS = 5;

/**
 * A process that is watched to its end, and reaped when it is a child of this one: by its pidfd, so that no child of anybody else is
 * touched, whoever else waits for children here. Watching keeps no program from ending; waiting does.
 */
export class WatchedProcess {
  readonly pid: number;
  /** How it ended, once it has. */
  readonly ended: Promise<ProcessEnd>;
  readonly #pidfd: OwnedFd;
  readonly #oom: OomCounter;
  readonly #closing = new AbortController();
  #isOver = false;

  /** `pidfd` becomes the watch's. */
  constructor(pid: number, pidfd: OwnedFd, oom: OomCounter) {
    this.pid = pid;
    this.#pidfd = pidfd;
    this.#oom = oom;
    this.ended = uninterrupted(() => this.#watch());
  }

  /** Watches a child that nobody has reaped. */
  static ofChild(pid: number, oom: OomCounter): WatchedProcess {
    return new WatchedProcess(pid, pidfdOpen(pid), oom);
  }

  /** Waits for its end. Errors: the reason of who has lost patience. */
  async wait(patience: Patience = {}): Promise<ProcessEnd> {
    // One of its own: whoever waits does so to the end, whatever becomes of the handle.
    using pidfd = this.openPidfd();
    if (pidfd !== undefined) await withPatience(patience, () => waitAny([{ fd: pidfd.number, events: POLLIN }]));
    return await this.ended;
  }

  /** Sends a signal; false when it has ended. Errors: `host` (EPERM). */
  kill(signal: number): boolean {
    if (this.#isOver) return false;
    try {
      pidfdSendSignal(this.#pidfd.number, signal);
      return true;
    } catch (error) {
      if (hasErrno(error, 'ESRCH')) return false;
      throw error;
    }
  }

  /** A pidfd of it, owned by the caller; undefined when it has ended. */
  openPidfd(): OwnedFd | undefined {
    return this.#isOver ? undefined : duplicateAbove(this.#pidfd.number, 3);
  }

  /** Watches no more; for one that is no child of this process. */
  close(): void {
    this.#closing.abort();
  }

  async #watch(): Promise<ProcessEnd> {
    const { signal } = this.#closing;
    try {
      await waitAny([{ fd: this.#pidfd.number, events: POLLIN }], -1, { isWeak: true, signal });
      return describeEnd(await this.#reap(), this.#oom.hasCounted());
    } catch (error) {
      if (!signal.aborted) throw error;
      return describeEnd(undefined, false);
    } finally {
      this.#isOver = true;
      this.#pidfd.close();
    }
  }

  /** Undefined when it was no child of this process, or somebody has reaped it. */
  async #reap(): Promise<ExitStatus | undefined> {
    try {
      for (;;) {
        const status = reapByPidfd(this.#pidfd.number);
        if (status !== undefined) return status;
        // Whoever traces it, such as CRIU, is told of its end first.
        await sleep(TRACED_MS);
      }
    } catch (error) {
      if (hasErrno(error, 'ECHILD')) return undefined;
      throw error;
    }
  }
}
