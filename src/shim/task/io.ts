import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { Writable, type Readable } from 'node:stream';
import type { ProcessStreams, StdioOption } from '../../library/stdio.ts';
import { DescriptorReadable, DescriptorWritable } from '../../library/streams.ts';
import { sleep } from '../../sys/events/poll.ts';
import type { OwnedFd } from '../../sys/fd.ts';
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
  readonly #copies: Promise<void>[] = [];
  readonly #streams: (Readable | Writable)[] = [];
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
    if (this.#terminal) {
      if (stdout !== null && this.#stdout !== undefined) this.#copy(stdout, makeSink(this.#stdout));
      if (stdin !== null && this.#input !== undefined) this.#feed(this.#input.fd, stdin);
    } else {
      if (stdout !== null && this.#stdout !== undefined) this.#copy(stdout, makeSink(this.#stdout));
      if (stderr !== null && this.#stderr !== undefined) this.#copy(stderr, makeSink(this.#stderr));
    }
    this.#input?.fd.close();
    for (const sink of [this.#stdout, this.#stderr]) if (sink !== undefined) sink.fd.close();
  }

  /** Lets input end when the client's side has ended, too. */
  closeInput(): void {
    this.#input?.keeper?.close();
  }

  /** The process has ended: waits until what it wrote is where it was to go, for a while. */
  async drain(timeoutMs: number): Promise<void> {
    await Promise.race([Promise.all(this.#copies), sleep(timeoutMs)]);
  }

  /** Nothing of it is needed any more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stream of this.#streams) stream.destroy();
    for (const place of [this.#input, this.#stdout, this.#stderr]) {
      if (place === undefined) continue;
      place.fd.close();
      if ('keeper' in place) place.keeper.close();
    }
    this.#logger?.close();
  }

  #copy(from: Readable, to: Writable): void {
    this.#streams.push(from, to);
    this.#copies.push(
      new Promise((resolve) => {
        const end = (): void => {
          resolve();
        };
        to.once('close', end);
        from.once('error', () => to.end());
        // Nobody can be told; the process must not stand still.
        to.once('error', () => from.resume());
      }),
    );
    from.pipe(to);
  }

  #feed(from: OwnedFd, to: Writable): void {
    const source = new DescriptorReadable(from);
    this.#streams.push(source, to);
    const stop = (): void => {
      source.destroy();
    };
    source.once('error', stop);
    to.once('error', stop);
    to.once('close', stop);
    // The end of input is no end of the terminal.
    source.pipe(to, { end: false });
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

/** The stream takes a descriptor over. */
function makeSink({ kind, fd }: NonNullable<Sink>): Writable {
  return kind === 'file' ? new FileWritable(fd.release()) : new DescriptorWritable(fd);
}

/** A file is always ready: a write waits for the disk at most. */
class FileWritable extends Writable {
  readonly #fd: number;

  constructor(fd: number) {
    super();
    this.#fd = fd;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    try {
      for (let rest = chunk; rest.length > 0;) rest = rest.subarray(writeSync(this.#fd, rest));
      callback();
    } catch (error) {
      callback(error as Error);
    }
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    closeSync(this.#fd);
    callback(error);
  }
}
