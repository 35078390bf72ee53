import { createReadStream, createWriteStream, type ReadStream } from 'node:fs';
import type { ReadStream as TtyReadStream } from 'node:tty';
import { TsrunError } from '../errors.ts';
import { hasErrno } from '../sys/errno.ts';
import { duplicateAbove, type OwnedFd } from '../sys/fd.ts';
import { pidfdSendSignal } from '../sys/pidfd.ts';
import { clearOnlcr, copyWindowSize, isTerminal } from '../sys/tty.ts';
import type { ExitStatus } from '../sys/wait.ts';
import { SIGNALS } from '../util/signals.ts';
import type { Stdio } from './runtime.ts';

/** Not forwarded: they are about tsrun's own children and terminal, or cannot be caught. */
const NOT_FORWARDED: ReadonlySet<string> = new Set(['CHLD', 'CLD', 'WINCH', 'URG', 'KILL', 'STOP', 'PROF']);

/** tsrun in the foreground of a container: its terminal relayed, its signals forwarded, until the program ends. */
export class Foreground implements Disposable {
  readonly #stdio: Stdio;
  #master: OwnedFd | undefined;
  #output: ReadStream | undefined;
  #input: TtyReadStream | undefined;

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

  /** Relays and forwards while `wait` waits for the program's end. */
  async supervise(pidfd: OwnedFd, wait: () => Promise<ExitStatus>): Promise<ExitStatus> {
    const stopForwarding = forwardSignals(pidfd);
    const stopRelaying = await this.#relay();
    try {
      const status = await wait();
      await stopRelaying();
      return status;
    } finally {
      stopForwarding();
    }
  }

  [Symbol.dispose](): void {
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

/** Every signal that this process gets goes to the program. Returns how to stop. */
function forwardSignals(pidfd: OwnedFd): () => void {
  const handlers = new Map<NodeJS.Signals, () => void>();
  for (const [name, number] of Object.entries(SIGNALS)) {
    if (NOT_FORWARDED.has(name)) continue;
    const signal = `SIG${name}` as NodeJS.Signals;
    const handler = (): void => {
      try {
        pidfdSendSignal(pidfd.number, number);
      } catch (error) {
        // It has ended in the meantime; its exit code is on the way.
        if (!hasErrno(error, 'ESRCH')) throw error;
      }
    };
    try {
      process.on(signal, handler);
      handlers.set(signal, handler);
    } catch {
      // Node has no handlers for a few signals (EINVAL); those act on tsrun itself.
    }
  }
  return () => {
    keepIgnoringPipes();
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
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
