import { closeSync, writeSync } from 'node:fs';
import { Writable, type Readable } from 'node:stream';
import { DescriptorReadable, DescriptorWritable } from '../../library/streams.ts';
import type { OwnedFd } from '../../sys/fd.ts';

/** What this process copies between a process and its client. */
export class Copies {
  readonly #copies: Promise<void>[] = [];
  readonly #streams: (Readable | Writable)[] = [];

  /** Copies what a process writes to a place, whose descriptor it takes over. */
  add(from: Readable, place: { readonly kind: string; readonly fd: OwnedFd }): void {
    const to = place.kind === 'file' ? new FileWritable(place.fd.release()) : new DescriptorWritable(place.fd);
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

  /** Copies input to a terminal. */
  feed(from: OwnedFd, to: Writable): void {
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

  /** Resolves when all that the process wrote is where it was to go. */
  async done(): Promise<void> {
    await Promise.all(this.#copies);
  }

  /** Nothing of it is needed any more. */
  close(): void {
    for (const stream of this.#streams) stream.destroy();
  }
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
