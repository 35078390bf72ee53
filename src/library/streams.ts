import { Readable, Writable } from 'node:stream';
import { hasErrno } from '../sys/errno.ts';
import { NonBlocking } from '../sys/events/nonblocking.ts';
import { POLLOUT, waitAny } from '../sys/events/poll.ts';
import { POLLIN } from '../util/constants.ts';
import type { OwnedFd } from '../sys/fd.ts';

const CHUNK_BYTES = 64 * 1024;

/** What a descriptor says, as a stream; no thread waits for it. The descriptor becomes the stream's. */
export class DescriptorReadable extends Readable {
  readonly #source: NonBlocking;
  readonly #over = new AbortController();

  constructor(fd: OwnedFd) {
    super({ highWaterMark: CHUNK_BYTES });
    this.#source = new NonBlocking(fd.number, 'read');
    fd.close();
  }

  override _read(): void {
    void this.#take();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#over.abort();
    this.#source[Symbol.dispose]();
    callback(error);
  }

  async #take(): Promise<void> {
    try {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      for (;;) {
        const count = this.#source.read(chunk);
        if (count !== undefined) {
          this.push(count === 0 ? null : chunk.subarray(0, count));
          return;
        }
        await waitAny([{ fd: this.#source.number, events: POLLIN }], -1, { signal: this.#over.signal });
      }
    } catch (error) {
      if (this.#over.signal.aborted) return;
      // What a terminal says that nobody has open any more: its end.
      if (hasErrno(error, 'EIO')) this.push(null);
      else this.destroy(error as Error);
    }
  }
}

/** What is written to a descriptor, as a stream; no thread waits for it. The descriptor becomes the stream's. */
export class DescriptorWritable extends Writable {
  readonly #sink: NonBlocking;
  readonly #over = new AbortController();

  constructor(fd: OwnedFd) {
    super({ highWaterMark: CHUNK_BYTES });
    this.#sink = new NonBlocking(fd.number, 'write');
    fd.close();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#give(chunk).then(
      () => {
        callback();
      },
      (error: unknown) => {
        callback(error as Error);
      },
    );
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#over.abort();
    this.#sink[Symbol.dispose]();
    callback(error);
  }

  async #give(chunk: Buffer): Promise<void> {
    for (let rest = chunk; rest.length > 0;) {
      rest = rest.subarray(this.#sink.write(rest));
      if (rest.length === 0) return;
      await waitAny([{ fd: this.#sink.number, events: POLLOUT }], -1, { signal: this.#over.signal });
    }
  }
}
