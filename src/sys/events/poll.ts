import { POLLIN } from '../../util/constants.ts';
import { Epoll, type Ready } from './epoll.ts';
import { watchEpoll, type LoopWatch } from './event-loop.ts';
import { currentInterruption } from './interruption.ts';
import { inTurn } from './turn-queue.ts';
import { bindLibc } from '../library.ts';
import { nowMs } from '../clock.ts';

const pollCall = bindLibc('int poll(void *fds, unsigned long count, int timeout_ms)');

/** There is an exceptional condition, such as a change of a cgroup's `events` file. */
export const POLLPRI = 2;
/** Something can be written without waiting. */
export const POLLOUT = 4;
const POLLERR = 8;
const POLLHUP = 16;

/** Whether the descriptor can be read (or has reached its end) within `timeoutMs`; blocks this thread so long. */
export function pollReadable(fd: number, timeoutMs: number): boolean {
  return pollOne(fd, POLLIN, timeoutMs);
}

/** Whether the kernel has an exceptional condition to tell of the descriptor (POLLPRI); does not wait. */
export function pollException(fd: number): boolean {
  return pollOne(fd, POLLPRI, 0);
}

/** Whether the other end of a connection is closed; does not wait. */
export function hasHungUp(fd: number): boolean {
  return pollOne(fd, 0, 0);
}

/** struct pollfd: int fd, short events, short revents; filled for each call, which does not keep it. */
const ENTRY = Buffer.alloc(8);

function pollOne(fd: number, events: number, timeoutMs: number): boolean {
  ENTRY.writeInt32LE(fd, 0);
  ENTRY.writeInt32LE(events, 4);
  return pollCall(ENTRY, 1, timeoutMs) > 0;
}

/**
 * Waits until the descriptor can be read or has reached its end; the event loop goes on, and no thread waits (`event-loop.ts`).
 * Answers false when `timeoutMs` passed (-1 waits for ever).
 */
export async function waitReadable(fd: number, timeoutMs = -1): Promise<boolean> {
  return (await waitAny([{ fd, events: POLLIN }], timeoutMs)).length > 0;
}

/** A descriptor, and what is wanted of it. */
export interface Interest {
  readonly fd: number;
  /** POLLIN, POLLPRI or POLLOUT, 0 for neither; errors and the end of the other side are always told. */
  readonly events: number;
}

/**
 * The descriptors that have what is wanted of them, waited for like `waitReadable`; none when `timeoutMs` passed.
 * They stay open until then. Errors: `host` for one that is not open; the reason of the signal that aborted.
 *
 * Source: man 2 poll.
 */
export function waitAny(
  interests: readonly Interest[],
  timeoutMs = -1,
  { signal = currentInterruption(), isWeak = false, isUrgent = false }: WaitOptions = {},
): Promise<readonly number[]> {
  waiter ??= new Waiter();
  return waiter.wait(interests, { timeoutMs, signal, isWeak, isUrgent });
}

/** What ends a wait before anything is ready, and whether anybody is kept by it. */
export interface WaitOptions {
  /** Ends the wait. Default: that of the operation that runs now (`interruption.ts`). */
  readonly signal?: AbortSignal | undefined;
  /** The wait alone does not keep the process from ending. */
  readonly isWeak?: boolean;
  /** It ends as soon as something is ready, before those who wait for a turn of the event loop each. */
  readonly isUrgent?: boolean;
}

/** Resolves after a time. The engine's own timers stand still while the main thread waits for descriptors. */
export async function sleep(timeMs: number): Promise<void> {
  await waitAny([], timeMs);
}

/** Calls back after a time, unless disposed of before; also while the main thread waits, unlike the engine's own timers. */
export function callAfter(timeMs: number, callback: () => void): Disposable {
  waiter ??= new Waiter();
  return waiter.callAfter(timeMs, callback);
}

interface Wait {
  /** Rises from one wait to the next. */
  readonly number: number;
  readonly interests: readonly Interest[];
  /** By the clock of `nowMs`, ms. */
  readonly deadline: number;
  readonly isWeak: boolean;
  readonly isUrgent: boolean;
  readonly resolve: (ready: readonly number[]) => void;
}

/** A descriptor that somebody waits for: who does, and for what. */
interface Watched {
  readonly users: Map<Wait, number>;
  /** What the kernel has been asked for. */
  mask: number;
}

let waiter: Waiter | undefined;

/** All waits of this process, behind one epoll descriptor. */
class Waiter {
  /** Many wait for ever, and few until a time: what is done in each turn is done for those few alone. */
  readonly #waits = new Set<Wait>();
  readonly #timed = new Set<Wait>();
  #strongCount = 0;
  #lastNumber = 0;
  readonly #watched = new Map<number, Watched>();
  readonly #epoll = new Epoll();
  readonly #loop: LoopWatch = watchEpoll(this.#epoll, (patienceMs) => {
    this.#serve(this.#epoll.take(patienceMs));
  });

  async wait(
    interests: readonly Interest[],
    {
      timeoutMs,
      signal,
      isWeak,
      isUrgent,
    }: Required<Pick<WaitOptions, 'isWeak' | 'isUrgent'>> & {
      readonly timeoutMs: number;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<readonly number[]> {
    signal?.throwIfAborted();
    let onAbort: (() => void) | undefined;
    const ready = new Promise<readonly number[]>((resolve, reject) => {
      const deadline = timeoutMs < 0 ? Infinity : nowMs() + timeoutMs;
      const wait = { number: ++this.#lastNumber, interests, deadline, isWeak, isUrgent, resolve };
      onAbort = (): void => {
        this.#forget(wait);
        this.#adjust();
        reject(signal?.reason as Error);
      };
      this.#remember(wait);
      let always: number[];
      try {
        always = interests.filter((interest) => !this.#watch(wait, interest)).map(({ fd }) => fd);
      } catch (error) {
        this.#forget(wait);
        throw error;
      }
      if (always.length > 0) this.#end(wait, always);
      this.#adjust();
    });
    if (signal === undefined || onAbort === undefined) return await ready;
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await ready;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  callAfter(timeMs: number, callback: () => void): Disposable {
    let isDisposed = false;
    const resolve = (): void => {
      if (!isDisposed) callback();
    };
    const deadline = nowMs() + timeMs;
    const wait = { number: ++this.#lastNumber, interests: [], deadline, isWeak: false, isUrgent: false, resolve };
    this.#remember(wait);
    this.#adjust();
    return {
      [Symbol.dispose]: () => {
        isDisposed = true;
        if (!this.#waits.has(wait)) return;
        this.#forget(wait);
        this.#adjust();
      },
    };
  }

  /** False for what is always ready. */
  #watch(wait: Wait, { fd, events }: Interest): boolean {
    const known = this.#watched.get(fd);
    const watched = known ?? { users: new Map<Wait, number>(), mask: events };
    if (known === undefined) {
      if (!this.#epoll.add(fd, events)) return false;
      this.#watched.set(fd, watched);
    }
    watched.users.set(wait, (watched.users.get(wait) ?? 0) | events);
    this.#ask(fd, watched);
    return true;
  }

  #ask(fd: number, watched: Watched): void {
    const mask = [...watched.users.values()].reduce((all, events) => all | events, 0);
    if (mask !== watched.mask) this.#epoll.change(fd, mask);
    watched.mask = mask;
  }

  #serve(found: readonly Ready[]): void {
    const ready = new Map<Wait, Set<number>>();
    for (const { fd, events } of found) {
      for (const [wait, wanted] of this.#watched.get(fd)?.users ?? []) {
        if ((events & (wanted | POLLERR | POLLHUP)) === 0) continue;
        ready.set(wait, (ready.get(wait) ?? new Set()).add(fd));
      }
    }
    const now = nowMs();
    const over = [...this.#timed].filter((wait) => now >= wait.deadline && !ready.has(wait));
    // Who has waited longest comes first.
    for (const wait of [...ready.keys(), ...over].sort((one, other) => one.number - other.number)) {
      const fds = ready.get(wait);
      const inOrder = new Set(wait.interests.map(({ fd }) => fd));
      this.#end(
        wait,
        [...inOrder].filter((fd) => fds?.has(fd)),
      );
    }
    this.#adjust();
  }

  #end(wait: Wait, fds: readonly number[]): void {
    this.#forget(wait);
    const resolve = (): void => {
      wait.resolve(fds);
    };
    if (!wait.isUrgent && this.#waits.size > 0 && this.#loop.hasTurns) inTurn(resolve);
    else resolve();
  }

  #remember(wait: Wait): void {
    this.#waits.add(wait);
    if (wait.deadline !== Infinity) this.#timed.add(wait);
    if (!wait.isWeak) this.#strongCount += 1;
  }

  #forget(wait: Wait): void {
    if (!this.#waits.delete(wait)) return;
    this.#timed.delete(wait);
    if (!wait.isWeak) this.#strongCount -= 1;
    for (const { fd } of wait.interests) {
      const watched = this.#watched.get(fd);
      if (watched?.users.delete(wait) !== true) continue;
      if (watched.users.size > 0) {
        this.#ask(fd, watched);
        continue;
      }
      this.#watched.delete(fd);
      this.#epoll.remove(fd);
    }
  }

  #adjust(): void {
    if (this.#waits.size === 0) {
      this.#loop.stop();
      return;
    }
    let deadline = Infinity;
    for (const wait of this.#timed) deadline = Math.min(deadline, wait.deadline);
    const timeoutMs = deadline === Infinity ? -1 : Math.min(TIMEOUT_MS_MAX, Math.ceil(Math.max(0, deadline - nowMs())));
    this.#loop.start(timeoutMs, { isWeak: this.#strongCount === 0 });
  }
}

/** The longest time that a timer of the engine takes. */
const TIMEOUT_MS_MAX = 0x7fff_ffff;
