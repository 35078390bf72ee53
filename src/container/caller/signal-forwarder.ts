import { hasErrno } from '../../sys/errno.ts';
import { duplicateAbove, type OwnedFd } from '../../sys/fd.ts';
import { pidfdSendSignal } from '../../sys/process/pidfd.ts';
import { SIGNALS } from '../../util/signals.ts';
import type { SignalSource } from './caller.ts';

const { CHLD, KILL, PIPE, STOP, URG, WINCH } = SIGNALS;
const { BUS, FPE, ILL, SEGV, SYS, TRAP } = SIGNALS;
/** The C libraries keep these two for their threads. */
const OF_THE_LIBRARY = [32, 33];
const HIGHEST = 64;

/** About this process's own children and terminal, about faults of its own, or not to be caught. */
const NOT_FORWARDED: ReadonlySet<number> = new Set([
  ...[CHLD, WINCH, URG, KILL, STOP, BUS, FPE, ILL, SEGV, SYS, TRAP],
  ...OF_THE_LIBRARY,
]);
/** When a terminal hangs up, the kernel tells the leader of its session and fails every read and write, all at once. */
const SAME_HANG_UP_S = 1;
const FORWARDED = Array.from({ length: HIGHEST }, (_, index) => index + 1).filter(
  (number) => !NOT_FORWARDED.has(number) && number !== PIPE,
);

/** Where the signals come from, and what is called for those that do not simply go on to the program. */
export interface ForwarderOptions {
  /** Undefined where the caller keeps its signals. */
  readonly signals: SignalSource | undefined;
  /** The terminal of the caller has another size. */
  readonly onWindowChange?: (() => void) | undefined;
  /** A signal came and its program had ended. */
  readonly onGone?: () => void;
  /** This process was stopped, and goes on. */
  readonly onContinued?: () => void;
}

/** Catches the signals that the caller gets, to pass them on to another. Those of before `forwardTo` are kept for it. */
export class SignalForwarder implements Disposable {
  readonly #options: ForwarderOptions;
  readonly #caught: Disposable[] = [];
  readonly #kept: number[] = [];
  #pidfd: OwnedFd | undefined;
  /** Seconds, by the clock of `process.uptime`. */
  #lastHangUp = -Infinity;
  /** The program knows of it already. */
  #isTold = false;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#catch(FORWARDED);
    const { signals, onWindowChange } = options;
    if (signals !== undefined && onWindowChange !== undefined) this.#caught.push(signals([WINCH], onWindowChange));
  }

  /**
   * SIGPIPE too, from now on: while this process writes to hooks, it is its own, for one that does not read, and would end the program.
   */
  catchPipes(): void {
    this.#catch([PIPE]);
  }

  /** The descriptor remains the caller's. */
  forwardTo(pidfd: OwnedFd): void {
    // A copy: where something fails, the other may be closed while there is still a signal to take.
    this.#pidfd = duplicateAbove(pidfd.number, 3);
    for (const number of this.#kept.splice(0)) this.#take(number);
  }

  /** The terminal has hung up, which the program is told once: this process may have got the signal as well. */
  hangUp(): void {
    if (process.uptime() - this.#lastHangUp > SAME_HANG_UP_S) this.#take(SIGNALS.HUP);
    this.#lastHangUp = process.uptime();
    this.#isTold = true;
  }

  /** The signals act on this process again. */
  [Symbol.dispose](): void {
    for (const caught of this.#caught.splice(0)) caught[Symbol.dispose]();
    this.#pidfd?.close();
    this.#pidfd = undefined;
  }

  #catch(numbers: readonly number[]): void {
    const { signals } = this.#options;
    if (signals === undefined) return;
    const take = (number: number): void => {
      if (number === SIGNALS.CONT) this.#options.onContinued?.();
      if (number === SIGNALS.HUP && this.#isSameHangUp()) return;
      this.#take(number);
    };
    this.#caught.push(signals(numbers, take));
  }

  #isSameHangUp(): boolean {
    const isSame = this.#isTold && process.uptime() - this.#lastHangUp <= SAME_HANG_UP_S;
    this.#isTold = false;
    this.#lastHangUp = process.uptime();
    return isSame;
  }

  #take(number: number): void {
    if (this.#pidfd === undefined) {
      this.#kept.push(number);
      return;
    }
    try {
      pidfdSendSignal(this.#pidfd.number, number);
    } catch (error) {
      // It has ended in the meantime; its exit code is on the way.
      if (!hasErrno(error, 'ESRCH')) throw error;
      this.#options.onGone?.();
    }
  }
}
