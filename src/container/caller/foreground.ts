import type { Process } from '../../spec/generated/config.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import type { ExitStatus } from '../../sys/process/wait.ts';
import type { RunOptions, Stdio } from '../store/options.ts';

/** The part of the options of `run` and `exec` that waiting is about. */
export type ForegroundOptions = Pick<RunOptions, 'stdio' | 'forwardSignals'>;

/** Whoever waits in the foreground of a container: lends it descriptors, passes signals on, and is there until the program ends. */
export interface Foreground extends Disposable {
  /** Errors: `usage` when there is no terminal here to show the container's on. */
  requireTerminal(): void;
  /** What the program gets as descriptors 0, 1 and 2. */
  lend(process: Process | undefined): Stdio;
  /** Init has its descriptors. */
  closeLent(): void;
  /** Keeps a copy of the console's master until the end. Its size is that of the caller's terminal, unless the config has one. */
  takeConsole(master: OwnedFd, options: Pick<Process, 'consoleSize'>): void;
  /**
   * From here on a signal is the program's, while `become` makes init the program and afterwards: who has seen its first output may send
   * one at once. One that comes before there is a program waits for it.
   */
  catchSignals(pidfd: OwnedFd, become: () => Promise<void>): Promise<void>;
  /** Passes on what there is while the program runs, then waits for its end. Errors: `CallerLost`. */
  supervise(pidfd: OwnedFd, wait: () => Promise<ExitStatus>): Promise<ExitStatus>;
}
