import { closeSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import type { ProcessStreams, StdioOption } from '../../library/stdio.ts';
import { callAfter } from '../../sys/events/poll.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import type { Copies } from './copies.ts';
import { openInput, openOutput, type Input, type Output } from './fifo.ts';
import { BinaryLogger, type LoggerOwner } from './logger.ts';

/** Where the standard streams of a process lead, as the client names them: paths of FIFOs or files, or `file:` and `binary:` addresses. */
export interface StdioPlaces {
  readonly terminal: boolean;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where one stream of output goes. */
type Sink = Output | { readonly kind: 'logger'; readonly fd: OwnedFd } | undefined;

/**
 * The connections of one process with its client.
 *
 * FIFOs, devices and the pipes of a logger become the process's own standard streams. Where there is a terminal, and for files, which a
 * process must not get hold of (it could take back what it wrote), this process copies.
 */
export class ProcessIo {
  readonly #terminal: boolean;
  #input: Input | undefined;
  #stdout: Sink;
  #stderr: Sink;
  #logger: BinaryLogger | undefined;
  /** Where this process copies. It is loaded there alone, as what it needs takes the engine some time. */
  #copies: Copies | undefined;
  #isClosed = false;

  private constructor(terminal: boolean) {
    this.#terminal = terminal;
  }

  /** Opens all of it. Errors: `host`, `RpcError`. */
  static async open({ terminal, stdin, stdout, stderr }: StdioPlaces, owner: LoggerOwner): Promise<ProcessIo> {
    const io = new ProcessIo(terminal);
    try {
      const [scheme] = /^[a-z]+(?=:\/\/)/.exec(stdout) ?? [];
      if (scheme === 'binary') {
        io.#logger = await BinaryLogger.start(new URL(stdout), owner);
        io.#stdout = { kind: 'logger', fd: io.#logger.stdout };
        io.#stderr = { kind: 'logger', fd: io.#logger.stderr };
      } else {
        io.#stdout = stdout === '' ? undefined : await openPlace(stdout);
        // As with containerd's own shim, an address is that of both streams.
        const error = scheme === 'file' ? stdout : stderr;
        io.#stderr = error === '' || terminal ? undefined : await openPlace(error);
      }
      io.#input = stdin === '' ? undefined : openInput(pathOf(stdin));
      if (terminal || io.#stdout?.kind === 'file' || io.#stderr?.kind === 'file')
        io.#copies = new (await import('./copies.ts')).Copies();
      return io;
    } catch (error) {
      io.close();
      throw error;
    }
  }

  /** What the process is to get. */
  get stdio(): readonly StdioOption[] {
    if (this.#terminal) return [];
    const option = (sink: Sink): StdioOption =>
      sink === undefined ? 'ignore' : sink.kind === 'file' ? 'pipe' : sink.fd.number;
    return [this.#input?.fd.number ?? 'ignore', option(this.#stdout), option(this.#stderr)];
  }

  /** The process has what it was to get; its other ends are here. */
  connect({ stdin, stdout, stderr }: ProcessStreams): void {
    const copies = this.#copies;
    if (stdout !== null && this.#stdout !== undefined) copies?.add(stdout, this.#stdout);
    if (stderr !== null && this.#stderr !== undefined) copies?.add(stderr, this.#stderr);
    if (this.#terminal && stdin !== null && this.#input !== undefined) copies?.feed(this.#input.fd, stdin);
    this.#input?.fd.close();
    for (const sink of [this.#stdout, this.#stderr]) if (sink !== undefined) sink.fd.close();
  }

  /** Lets input end when the client's side has ended, too. */
  closeInput(): void {
    this.#input?.keeper?.close();
  }

  /** The process has ended: waits until what it wrote is where it was to go, for a while. */
  async drain(timeoutMs: number): Promise<void> {
    const copies = this.#copies;
    if (copies === undefined) return;
    // Who waits no more leaves no timer behind.
    await new Promise<void>((resolve) => {
      const timer = callAfter(timeoutMs, resolve);
      void copies.done().then(() => {
        timer[Symbol.dispose]();
        resolve();
      });
    });
  }

  /** Nothing of it is needed any more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#copies?.close();
    for (const place of [this.#input, this.#stdout, this.#stderr]) {
      if (place === undefined) continue;
      place.fd.close();
      if ('keeper' in place) place.keeper.close();
    }
    this.#logger?.close();
  }
}

function pathOf(place: string): string {
  return place.includes('://') ? decodeURIComponent(new URL(place).pathname) : place;
}

async function openPlace(place: string): Promise<Output> {
  const file = pathOf(place);
  if (place.startsWith('file://')) {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
    closeSync(openSync(file, 'a', 0o644));
  }
  return openOutput(file);
}
