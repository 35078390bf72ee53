import type { Readable, Writable } from 'node:stream';
import type { Stdio } from '../container/store/options.ts';
import { duplicateAbove, type OwnedFd } from '../sys/fd.ts';
import { checkGiven, checkOptions, signalNumber } from './check.ts';
import type { Patience } from './interruption.ts';
import { OPTION_CHECKS, type ProgramOptions } from './options.ts';
import type { ProcessEnd } from './process-end.ts';
import { hasPipes, ProgramStdio, type ProcessStreams, type StreamMaker } from './stdio.ts';
import { checkSize, Terminal, type TerminalSize } from './terminal.ts';
import type { WatchedProcess } from './watched-process.ts';

/** A process in a container that this process has started. */
export class Process implements ProcessStreams {
  /** As this process sees it. */
  readonly pid: number;
  /** Its standard input where that is a pipe or a terminal, null otherwise. */
  readonly stdin: Writable | null;
  /** Likewise. It goes on until it has been read, also when the process has ended. */
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  readonly #watched: WatchedProcess;
  readonly #connections: Connections;
  /** What else is to be done at its end. */
  readonly #after: Promise<void>;

  constructor(watched: WatchedProcess, connections: Connections, after: Promise<void> = Promise.resolve()) {
    this.pid = watched.pid;
    this.#watched = watched;
    this.#connections = connections;
    this.#after = after;
    ({ stdin: this.stdin, stdout: this.stdout, stderr: this.stderr } = connections.streams);
  }

  /**
   * Waits for its end, and until what it wrote has arrived at streams that were given as `stdio`. Any number may wait, at any time.
   * Errors: the reason of the signal, and TimeoutError, at which the process goes on.
   */
  async wait(patience: Patience = {}): Promise<ProcessEnd> {
    checkOptions('wait', patience, OPTION_CHECKS.patience);
    const end = await this.#watched.wait(patience);
    await this.#after;
    await this.#connections.carried();
    return end;
  }

  /** Sends a signal by its name or number. False when the process has ended. Errors: TypeError; `host` (EPERM). */
  kill(signal: string | number = 'SIGTERM'): boolean {
    return this.#watched.kill(signalNumber('kill', signal));
  }

  /** Gives its terminal a size. Nothing happens without a terminal of the handle, and once it has ended. */
  resize(size: TerminalSize): void {
    checkGiven('resize', 'size', size, checkSize);
    this.#connections.resize(size);
  }
}

/** What connects a program that is being started with this process: pipes, or a terminal when its configuration asks for one. */
export class Connections implements Disposable {
  readonly #stdio: ProgramStdio;
  readonly #console: ProgramOptions['console'];
  #terminal: Terminal | undefined;

  private constructor({ stdio, console }: ProgramOptions, maker?: StreamMaker) {
    this.#stdio = new ProgramStdio(stdio, maker);
    this.#console = console;
  }

  /** Opens what the program is to get. Errors: `host`. */
  static async open(options: ProgramOptions): Promise<Connections> {
    return hasPipes(options.stdio) ? new Connections(options, await import('./streams.ts')) : new Connections(options);
  }

  get descriptors(): Stdio {
    return this.#stdio.descriptors;
  }

  get streams(): ProcessStreams {
    return this.#terminal ?? this.#stdio;
  }

  /** Where the operation is to bring the console. */
  get receiver(): { consoleSocket: string } | { takeConsole: (master: OwnedFd) => void } {
    const receiver = this.#console;
    if (typeof receiver === 'string') return { consoleSocket: receiver };
    return {
      takeConsole: (master) => {
        if (receiver === undefined) this.#terminal = new Terminal(master);
        else receiver(duplicateAbove(master.number, 3).release());
      },
    };
  }

  resize(size: TerminalSize): void {
    this.#terminal?.resize(size);
  }

  /** The program has been started: where it has a terminal there are its streams. */
  async complete(): Promise<void> {
    if (this.#terminal !== undefined) this.#terminal.connect(await import('./streams.ts'));
  }

  /** The program has its ends, and ours are looked after until it has ended. */
  async followTo(ended: Promise<unknown>): Promise<void> {
    this.#stdio.closeTheirs();
    await ended;
    this.#terminal?.end();
  }

  async carried(): Promise<void> {
    if (this.#terminal === undefined) await this.#stdio.carried();
  }

  /** There is no program. */
  [Symbol.dispose](): void {
    this.#stdio[Symbol.dispose]();
    this.#terminal?.[Symbol.dispose]();
  }
}
