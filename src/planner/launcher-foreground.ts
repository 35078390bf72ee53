import { CallerLost } from '../container/caller/caller.ts';
import type { Foreground, ForegroundOptions } from '../container/caller/foreground.ts';
import { SignalForwarder } from '../container/caller/signal-forwarder.ts';
import type { Stdio } from '../container/store/options.ts';
import { currentInterruption } from '../sys/events/interruption.ts';
import type { OwnedFd } from '../sys/fd.ts';
import type { ExitStatus } from '../sys/process/wait.ts';
import { SIGNALS } from '../util/signals.ts';
import type { Launcher } from './launcher.ts';
import { GoCold } from './reasons.ts';

/** The program that a launcher waits for. */
export interface LauncherProgram {
  /** The launcher adopts and reaps what the container leaves behind. */
  readonly subreaper: boolean;
  /** Its pid, once init has been started. */
  readonly pid: () => number;
}

/** A launcher that waits in the foreground of its container: the program has its descriptors, and gets its signals. */
export class LauncherForeground implements Foreground {
  readonly #launcher: Launcher;
  readonly #stdio: Stdio;
  readonly #program: LauncherProgram;
  readonly #catches = new Map<number, (number: number) => void>();
  readonly #forwarder: SignalForwarder;

  constructor(launcher: Launcher, program: LauncherProgram, { stdio, forwardSignals = false }: ForegroundOptions) {
    this.#launcher = launcher;
    this.#program = program;
    this.#stdio = stdio;
    this.#forwarder = new SignalForwarder({
      signals: forwardSignals ? this.#catch.bind(this) : undefined,
    });
    this.#forwarder.catchPipes();
  }

  requireTerminal(): void {
    throw new GoCold('terminal');
  }

  lend(): Stdio {
    return this.#stdio;
  }

  closeLent(): void {
    // Nothing was opened for it.
  }

  takeConsole(): void {
    throw new Error('bug: a terminal in the foreground of a launcher');
  }

  async catchSignals(pidfd: OwnedFd, become: () => Promise<void>): Promise<void> {
    const signals = [...this.#catches.keys(), SIGNALS.CHLD];
    const { subreaper, pid } = this.#program;
    await this.#launcher.attend({ pid: pid(), signals, subreaper });
    // Before it is the program: whoever takes over sees whether it became that.
    this.#launcher.leaveWill({ stage: 'running', pid: pid() });
    await become();
    this.#forwarder.forwardTo(pidfd);
  }

  async supervise(_pidfd: OwnedFd, wait: () => Promise<ExitStatus>): Promise<ExitStatus> {
    try {
      return await this.#superviseToEnd(wait);
    } catch (cause) {
      // The wait for the caller's end may hear of it before the conversation does.
      if (currentInterruption()?.aborted === true) throw new CallerLost('the caller has ended', { cause });
      throw cause;
    }
  }

  async #superviseToEnd(wait: () => Promise<ExitStatus>): Promise<ExitStatus> {
    for (let hasEnded = false; !hasEnded;) {
      const happening = await this.#launcher.happening();
      const { signal } = happening;
      hasEnded = happening.hasEnded;
      // What is left at the end goes to the next of kin, or is reaped with the launcher.
      if (signal === SIGNALS.CHLD && !hasEnded) await this.#launcher.reapAll(this.#program.pid());
      else if (signal !== undefined) this.#catches.get(signal)?.(signal);
    }
    return await wait();
  }

  [Symbol.dispose](): void {
    this.#forwarder[Symbol.dispose]();
  }

  #catch(numbers: readonly number[], take: (number: number) => void): Disposable {
    for (const number of numbers) this.#catches.set(number, take);
    return {
      [Symbol.dispose]: () => {
        for (const number of numbers) this.#catches.delete(number);
      },
    };
  }
}
