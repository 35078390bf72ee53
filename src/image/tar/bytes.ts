import { readSync } from 'node:fs';
import { refuse } from '../refuse.ts';

/** Where an archive is read from, front to back. */
export interface ByteSource {
  /** That many bytes. Errors: `bundle` where there are fewer. */
  exactly(count: number): Promise<Buffer>;
  /** Some bytes, at least one and at most so many. Errors: `bundle` at the end. */
  some(most: number): Promise<Buffer>;
  skip(count: number): Promise<void>;
  isAtEnd(): Promise<boolean>;
}

/** The bytes of a stream, one chunk of which is held at a time. */
export class StreamBytes implements ByteSource {
  readonly #chunks: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async exactly(count: number): Promise<Buffer> {
    if (this.#chunk.length >= count) return this.#take(count);
    const parts: Buffer[] = [];
    for (let rest = count; rest > 0;) {
      const part = await this.some(rest);
      parts.push(part);
      rest -= part.length;
    }
    return Buffer.concat(parts);
  }

  async some(most: number): Promise<Buffer> {
    if (await this.isAtEnd()) throw truncated();
    return this.#take(Math.min(most, this.#chunk.length));
  }

  async skip(count: number): Promise<void> {
    for (let rest = count; rest > 0;) rest -= (await this.some(rest)).length;
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return true;
      this.#chunk = next.value;
    }
    return false;
  }

  #take(count: number): Buffer {
    const taken = this.#chunk.subarray(0, count);
    this.#chunk = this.#chunk.subarray(count);
    return taken;
  }
}

/** The bytes of an open file, in which what is skipped is not read. */
export class FileBytes implements ByteSource {
  readonly #fd: number;
  readonly #size: number;
  position = 0;

  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.#size = size;
  }

  exactly(count: number): Promise<Buffer> {
    const bytes = Buffer.alloc(count);
    for (let filled = 0; filled < count;) {
      const length = readSync(this.#fd, bytes, filled, count - filled, this.position);
      if (length === 0) return Promise.reject(truncated());
      filled += length;
      this.position += length;
    }
    return Promise.resolve(bytes);
  }

  some(most: number): Promise<Buffer> {
    const CHUNK_BYTES = 64 * 1024;
    return this.exactly(Math.min(most, CHUNK_BYTES, Math.max(this.#size - this.position, 1)));
  }

  skip(count: number): Promise<void> {
    if (count > this.#size - this.position) return Promise.reject(truncated());
    this.position += count;
    return Promise.resolve();
  }

  isAtEnd(): Promise<boolean> {
    return Promise.resolve(this.position >= this.#size);
  }
}

function truncated(): Error {
  return refuse('an archive ends in the middle of an entry');
}
