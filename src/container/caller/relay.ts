import { hasErrno } from '../../sys/errno.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { NonBlocking } from '../../sys/events/nonblocking.ts';
import { POLLOUT, waitAny, type Interest } from '../../sys/events/poll.ts';
import { POLLIN } from '../../util/constants.ts';
import { mayReadTerminal } from '../../sys/tty.ts';

/** From where to where bytes go. Both descriptors remain their owners'. */
export interface Route {
  readonly from: number;
  readonly to: number;
  /** What the end of `from` means: the end of `to`, the terminal has hung up, or nothing. */
  readonly atEnd: 'close' | 'hang-up' | 'nothing';
  /** What means that the terminal has hung up: that `from` cannot be read, or `to` cannot be written. */
  readonly terminal: 'from' | 'to';
  /** With `close`: closes `to`. */
  readonly close?: () => void;
}

const CHUNK_BYTES = 64 * 1024;
/** A pipe holds at most 1 MiB (fs.pipe-max-size), a terminal less: what the program wrote is behind us after as much. */
const DRAIN_BYTES = 1024 * 1024;
/** How soon it is seen that this process is in the foreground of its terminal again, or that nobody waits for the rest any more. */
const LOOK_AGAIN_MS = 500;

/** What the relay sees of the caller's terminal and leaves to others. */
export interface RelayOptions {
  /** Called once, when the terminal of the caller has hung up. */
  readonly onHangUp: () => void;
  /** Called when this process has come from the background of its terminal into the foreground. */
  readonly onForeground: () => void;
}

/**
 * Carries bytes between the caller's descriptors and the program's while the program runs, without a thread. What one side does not take
 * is not read from the other.
 */
export class Relay implements Disposable {
  readonly #channels: Channel[];
  readonly #onForeground: () => void;
  #isGivenUp = false;

  constructor(routes: readonly Route[], { onHangUp, onForeground }: RelayOptions) {
    this.#onForeground = onForeground;
    let hasHungUp = false;
    const hangUp = (): void => {
      if (!hasHungUp) onHangUp();
      hasHungUp = true;
    };
    this.#channels = routes.map((route) => new Channel(route, hangUp));
  }

  /** Until the process ends; then what it has written before arrives. */
  async until(pidfd: OwnedFd): Promise<void> {
    const end = { fd: pidfd.number, events: POLLIN };
    for (let wasPaused = false; ;) {
      const isPaused = this.#channels.some((channel) => channel.isPaused());
      if (wasPaused && !isPaused) this.#onForeground();
      wasPaused = isPaused;
      const interests = this.#channels.flatMap((channel) => channel.interests());
      const ready = await waitAny([end, ...interests], isPaused ? LOOK_AGAIN_MS : -1);
      for (const channel of this.#channels) channel.advance(ready);
      if (ready.includes(end.fd)) break;
    }
    for (const channel of this.#channels) await this.#drain(channel);
  }

  /** The program is gone, and whoever waits wants no more of its output. */
  giveUp(): void {
    this.#isGivenUp = true;
  }

  async #drain(channel: Channel): Promise<void> {
    let left = channel.isOutput ? DRAIN_BYTES : 0;
    while (left > 0 && !this.#isGivenUp) {
      const interests = channel.pendingInterests();
      if (interests.length > 0) {
        channel.advance(await waitAny(interests, LOOK_AGAIN_MS));
        continue;
      }
      const count = channel.read();
      if (count === 0) return;
      left -= count;
    }
  }

  [Symbol.dispose](): void {
    for (const channel of this.#channels) channel[Symbol.dispose]();
  }
}

class Channel implements Disposable {
  readonly #route: Route;
  readonly #hangUp: () => void;
  readonly #from: NonBlocking;
  readonly #to: NonBlocking;
  readonly #buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  #pending = this.#buffer.subarray(0, 0);
  #isOver = false;
  /** Nobody takes it any more; it is read all the same, so that the program can go on. */
  #isDiscarded = false;

  constructor(route: Route, hangUp: () => void) {
    this.#route = route;
    this.#hangUp = hangUp;
    this.#from = new NonBlocking(route.from, 'read');
    this.#to = new NonBlocking(route.to, 'write');
  }

  /** Towards the caller. */
  get isOutput(): boolean {
    return this.#route.terminal === 'to';
  }

  /** Whether there may be input, but not for this process. */
  isPaused(): boolean {
    return !this.isOutput && !this.#isOver && !mayReadTerminal(this.#from.number);
  }

  interests(): Interest[] {
    if (this.#pending.length > 0) return this.pendingInterests();
    if (this.#isOver || this.isPaused()) return [];
    return [{ fd: this.#from.number, events: POLLIN }];
  }

  pendingInterests(): Interest[] {
    return this.#pending.length > 0 ? [{ fd: this.#to.number, events: POLLOUT }] : [];
  }

  advance(ready: readonly number[]): void {
    if (this.#pending.length > 0) {
      if (ready.includes(this.#to.number)) this.#write();
    } else if (!this.#isOver && ready.includes(this.#from.number)) this.read();
  }

  /** How many bytes there were. */
  read(): number {
    if (this.#isOver) return 0;
    let count: number | undefined;
    try {
      count = this.#from.read(this.#buffer);
    } catch (error) {
      if (!hasErrno(error, 'EIO', 'ECONNRESET')) throw error;
      // The program's terminal has nobody who writes to it, or the caller's is gone.
      this.#end(this.isOutput ? 'nothing' : 'hang-up');
      return 0;
    }
    if (count === undefined) return 0;
    if (count === 0) {
      this.#end(this.#route.atEnd);
      return 0;
    }
    this.#pending = this.#buffer.subarray(0, count);
    this.#write();
    return count;
  }

  #write(): void {
    try {
      if (!this.#isDiscarded) this.#pending = this.#pending.subarray(this.#to.write(this.#pending));
    } catch (error) {
      if (!hasErrno(error, 'EPIPE', 'EIO', 'ECONNRESET')) throw error;
      this.#isDiscarded = true;
      if (this.isOutput) this.#hangUp();
      // The program reads no more: what is typed is for whoever reads the terminal next.
      else this.#end('close');
    }
    if (this.#isDiscarded) this.#pending = this.#buffer.subarray(0, 0);
  }

  #end(meaning: Route['atEnd']): void {
    this.#isOver = true;
    if (meaning === 'hang-up') this.#hangUp();
    if (meaning === 'nothing') return;
    this.#to[Symbol.dispose]();
    this.#route.close?.();
  }

  [Symbol.dispose](): void {
    this.#from[Symbol.dispose]();
    this.#to[Symbol.dispose]();
  }
}
