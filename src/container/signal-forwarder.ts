import { hasErrno } from '../sys/errno.ts';
import { duplicateAbove, type OwnedFd } from '../sys/fd.ts';
import { pidfdSendSignal } from '../sys/pidfd.ts';
import { SIGNALS } from '../util/signals.ts';

/** Not forwarded: they are about tsrun's own children and terminal, or cannot be caught. */
const NOT_FORWARDED: ReadonlySet<string> = new Set(['CHLD', 'CLD', 'WINCH', 'URG', 'KILL', 'STOP', 'PROF']);

/** Catches the signals that this process gets, to pass them on to another. Those of before `forwardTo` are kept for it. */
export class SignalForwarder implements Disposable {
  readonly #handlers = new Map<NodeJS.Signals, () => void>();
  readonly #kept: number[] = [];
  #pidfd: OwnedFd | undefined;

  constructor() {
    for (const [name, number] of Object.entries(SIGNALS)) {
      if (!NOT_FORWARDED.has(name) && name !== 'PIPE') this.#catch(name, number);
    }
  }

  /**
   * SIGPIPE too, from now on: while this process writes to hooks, it is its own, for one that does not read, and would end the program.
   */
  catchPipes(): void {
    this.#catch('PIPE', SIGNALS.PIPE);
  }

  /** The descriptor remains the caller's. */
  forwardTo(pidfd: OwnedFd): void {
    // A copy: where something fails, the other may be closed while there is still a signal to take.
    this.#pidfd = duplicateAbove(pidfd.number, 3);
    for (const number of this.#kept.splice(0)) this.#take(number);
  }

  /** The signals act on this process again. */
  [Symbol.dispose](): void {
    if (this.#handlers.size > 0) keepIgnoringPipes();
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
    this.#handlers.clear();
    this.#pidfd?.close();
    this.#pidfd = undefined;
  }

  #catch(name: string, number: number): void {
    const signal = `SIG${name}` as NodeJS.Signals;
    const handler = (): void => {
      this.#take(number);
    };
    try {
      process.on(signal, handler);
      this.#handlers.set(signal, handler);
    } catch {
      // Node has no handlers for a few signals (EINVAL); those act on tsrun itself.
    }
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
    }
  }
}

/**
 * Node starts with SIGPIPE ignored, but taking the last handler away leaves the default action: the next write to a pipe or socket
 * without a reader, such as a poststop hook that reads nothing, would end a process that goes on after its container has ended.
 */
function keepIgnoringPipes(): void {
  if (!process.listeners('SIGPIPE').includes(ignorePipe)) process.on('SIGPIPE', ignorePipe);
}

function ignorePipe(): void {
  // The write itself fails with EPIPE.
}
