import { hasErrno } from '../../sys/errno.ts';
import { NonBlocking } from '../../sys/events/nonblocking.ts';
import { POLLOUT, waitAny } from '../../sys/events/poll.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { POLLIN } from '../../util/constants.ts';
import { encodeFrame, FrameReader, type Frame } from '../wire/frames.ts';

/** What is read, until it is copied. */
const CHUNK = Buffer.allocUnsafe(64 * 1024);
/** What waits for a peer that does not read; one that lets more pile up is given up. */
const WAITING_BYTES_MAX = 32 * 1024 * 1024;

/** Frames in both directions over a socket, which becomes the channel's. */
export class Channel {
  readonly #socket: NonBlocking;
  readonly #closing = new AbortController();
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #isWriting = false;
  #isClosed = false;

  constructor(socket: OwnedFd) {
    this.#socket = new NonBlocking(socket.number, 'read');
    socket.close();
  }

  /** The descriptor, while the channel is open. */
  get number(): number {
    return this.#socket.number;
  }

  /** Each frame as it comes, until the other side ends or the channel is closed. Whoever reads too slowly slows the other side down. */
  async *frames(): AsyncGenerator<Frame, void, void> {
    const reader = new FrameReader();
    let mayHaveMore = true;
    try {
      while (!this.#isClosed) {
        const count: number | undefined = mayHaveMore ? this.#socket.read(CHUNK) : undefined;
        if (count === 0) return;
        // Whatever fills no chunk was all there was.
        mayHaveMore = count === undefined || count === CHUNK.length;
        if (count === undefined) {
          await waitAny([{ fd: this.number, events: POLLIN }], -1, { signal: this.#closing.signal });
          continue;
        }
        // Before anybody else reads; and what waits for its end does not hold a large piece of memory.
        yield* reader.push(Buffer.from(CHUNK.subarray(0, count)));
      }
    } catch (error) {
      if (!this.#isClosed && !isEnd(error)) throw error;
    } finally {
      this.close();
    }
  }

  /** Sends a frame behind those that wait. Nothing happens on a channel that is closed. */
  send(stream: number, type: number, payload: Uint8Array): void {
    if (this.#isClosed) return;
    const frame = encodeFrame(stream, type, payload);
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length;
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.close();
    else if (!this.#isWriting) void this.#write();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closing.abort(new Error('the channel is closed'));
    this.#socket[Symbol.dispose]();
    this.#waiting.length = 0;
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    try {
      for (let frame = this.#waiting.shift(); frame !== undefined; frame = this.#waiting.shift()) {
        for (let rest = frame; rest.length > 0;) {
          rest = rest.subarray(this.#socket.write(rest));
          if (rest.length > 0)
            await waitAny([{ fd: this.number, events: POLLOUT }], -1, { signal: this.#closing.signal });
        }
        this.#waitingBytes -= frame.length;
      }
    } catch {
      // The other side is gone: whoever reads here learns of it, too.
      this.close();
    } finally {
      this.#isWriting = false;
    }
  }
}

function isEnd(error: unknown): boolean {
  return hasErrno(error, 'ECONNRESET', 'EPIPE');
}
