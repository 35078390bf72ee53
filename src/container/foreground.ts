import { createReadStream, createWriteStream, type ReadStream } from 'node:fs';
import type { ReadStream as TtyReadStream } from 'node:tty';
import { TsrunError } from '../errors.ts';
import { duplicateAbove, type OwnedFd } from '../sys/fd.ts';
import { clearOnlcr, copyWindowSize, isTerminal } from '../sys/tty.ts';
import type { ExitStatus } from '../sys/wait.ts';
import type { Stdio } from './runtime.ts';
import { SignalForwarder } from './signal-forwarder.ts';

/** tsrun in the foreground of a container: its terminal relayed, its signals forwarded, until the program ends. */
export class Foreground implements Disposable {
  readonly #stdio: Stdio;
  #master: OwnedFd | undefined;
  #output: ReadStream | undefined;
  #input: TtyReadStream | undefined;
  #signals: SignalForwarder | undefined;

  constructor(stdio: Stdio) {
    this.#stdio = stdio;
  }

  /** Errors: `usage` when there is no terminal here to show the container's on. */
  requireTerminal(): void {
    if (isTerminal(this.#stdio[0])) return;
    throw new TsrunError(
      'usage',
      'cannot relay the terminal of the container: standard input is not a terminal (/process/terminal of config.json)',
    );
  }

  /** Keeps a copy of the console's master until the end. */
  takeConsole(master: OwnedFd): void {
    this.#master = duplicateAbove(master.number, 3);
    clearOnlcr(this.#master.number);
    copyWindowSize(this.#stdio[0], this.#master.number);
  }

  /**
   * From here on a signal is the program's, while `become` makes init the program and afterwards: who has seen its first output may send
   * one at once. One that comes before there is a program waits for it.
   */
  async catchSignals(pidfd: OwnedFd, become: () => Promise<void>): Promise<void> {
    this.#signals = new SignalForwarder();
    await become();
    this.#signals.forwardTo(pidfd);
  }

  /** Relays while `wait` waits for the program's end. */
  async supervise(wait: () => Promise<ExitStatus>): Promise<ExitStatus> {
    this.#signals?.catchPipes();
    const stopRelaying = await this.#relay();
    try {
      const status = await wait();
      await stopRelaying();
      return status;
    } finally {
      this.#signals?.[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    this.#signals?.[Symbol.dispose]();
    this.#input?.setRawMode(false);
    this.#input?.destroy();
    this.#output?.destroy();
    this.#master?.close();
  }

  /** Returns how to end it: the output is drained first. */
  async #relay(): Promise<() => Promise<void>> {
    const master = this.#master;
    if (master === undefined) return () => Promise.resolve();
    // Only a terminal needs it, and it brings half of Node's network code along.
    const { ReadStream: TtyInput } = await import('node:tty');
    const [inputFd, outputFd] = this.#stdio;
    const output = createReadStream('', { fd: master.number, autoClose: false });
    const drained = new Promise<void>((resolve) => {
      // Reading the master fails with EIO when the last process has closed the terminal: that is its end of file.
      output.on('error', () => {
        resolve();
      });
      output.on('end', () => {
        resolve();
      });
    });
    output.pipe(createWriteStream('', { fd: outputFd, autoClose: false }));
    const input = new TtyInput(inputFd);
    input.setRawMode(true);
    input.pipe(createWriteStream('', { fd: master.number, autoClose: false }));
    const resize = (): void => {
      copyWindowSize(inputFd, master.number);
    };
    process.on('SIGWINCH', resize);
    this.#input = input;
    this.#output = output;
    return async () => {
      await drained;
      process.off('SIGWINCH', resize);
      input.setRawMode(false);
    };
  }
}
