import { TsrunError } from '../errors.ts';
import { hasErrno } from '../sys/errno.ts';
import { pollReadable, waitReadable } from '../sys/events/poll.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { pidfdOpen } from '../sys/process/pidfd.ts';
import type { ExitStatus } from '../sys/process/wait.ts';
import { DEATH_TIMEOUT_MS, killAndWait } from './kill-and-wait.ts';
import type { Partner } from './partner.ts';

/** The parent of an init that is nobody's child here. */
export interface Parent {
  /** Reaps a child that has ended; undefined while it lives. Errors: any, when the parent is gone. */
  reap(pid: number): Promise<ExitStatus | undefined>;
  /** To be reaped when the parent has nothing else to do: it has said its last word. */
  reapLater(pid: number): void;
}

/** An init that another process has started at our request: it is that one's child, and its socket is ours. */
export class ConnectedInit implements Partner {
  readonly socket: OwnedFd;
  readonly #parent: Parent;
  #pid: number;
  /** Its number may be somebody else's when the parent has ended. */
  #pidfd: OwnedFd;

  /** Errors: `host` (ESRCH). */
  constructor(pid: number, { socket, parent }: { readonly socket: OwnedFd; readonly parent: Parent }) {
    this.#pid = pid;
    this.socket = socket;
    this.#parent = parent;
    this.#pidfd = pidfdOpen(pid);
  }

  get pid(): number {
    return this.#pid;
  }

  becomes(pid: number): void {
    const next = pidfdOpen(pid);
    this.#pidfd.close();
    this.#pidfd = next;
    this.#parent.reapLater(this.#pid);
    this.#pid = pid;
  }

  async end(): Promise<void> {
    if (!(await killAndWait(this.#pidfd, DEATH_TIMEOUT_MS)))
      throw new TsrunError('init', `process ${this.#pid} does not die`);
    await this.#reap();
  }

  async howItEnded(timeoutMs = -1): Promise<ExitStatus | undefined> {
    const hasEnded = pollReadable(this.#pidfd.number, 0) || (await waitReadable(this.#pidfd.number, timeoutMs));
    if (!hasEnded) return undefined;
    return await this.#reap();
  }

  /** What this holds of it is given back; the process goes on. */
  close(): void {
    this.#pidfd.close();
  }

  /** A parent that has ended has left it to another. */
  async #reap(): Promise<ExitStatus | undefined> {
    try {
      return await this.#parent.reap(this.#pid);
    } catch (error) {
      if (hasErrno(error, 'ECHILD', 'EPIPE')) return undefined;
      throw error;
    }
  }
}
