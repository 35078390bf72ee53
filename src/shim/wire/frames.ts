/**
 * ttrpc frames: a header of ten bytes and a payload.
 *
 *     length of the payload  u32 big endian
 *     stream                 u32 big endian: odd and rising for the calls of a client
 *     type                   u8: 1 request, 2 response
 *     flags                  u8
 *
 * Source: github.com/containerd/ttrpc, PROTOCOL.md.
 */
export interface Frame {
  readonly stream: number;
  readonly type: number;
  /** Undefined of a frame that is too long: it has been passed over. */
  readonly payload: Buffer | undefined;
}

/** Types of frames. */
export const FRAME_TYPE = { request: 1, response: 2 } as const;

const HEADER_BYTES = 10;
/** What containerd's side sends and takes at most. */
export const PAYLOAD_BYTES_MAX = 4 * 1024 * 1024;

/** The bytes of a frame. */
export function encodeFrame(stream: number, type: number, payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame.writeUInt32BE(stream, 4);
  frame[8] = type;
  frame.set(payload, HEADER_BYTES);
  return frame;
}

interface Header {
  readonly length: number;
  readonly stream: number;
  readonly type: number;
}

/** Makes frames of what comes in, in whatever pieces. It keeps no more than one payload. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #have = 0;
  /** Of a payload that is too long, so many bytes are still to come. */
  #skipping = 0;
  #header: Header | undefined;

  /** The frames that are whole with these bytes, which are the reader's from now on. */
  push(bytes: Buffer): Frame[] {
    const skipped = Math.min(this.#skipping, bytes.length);
    this.#skipping -= skipped;
    if (skipped < bytes.length) {
      this.#chunks.push(bytes.subarray(skipped));
      this.#have += bytes.length - skipped;
    }
    const frames: Frame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  /** Whether what has come in ends in the middle of a frame. */
  get isInside(): boolean {
    return this.#have > 0 || this.#skipping > 0 || this.#header !== undefined;
  }

  #next(): Frame | undefined {
    this.#header ??= this.#readHeader();
    if (this.#header === undefined) return undefined;
    const { length, stream, type } = this.#header;
    if (length > PAYLOAD_BYTES_MAX) {
      const skipped = Math.min(length, this.#have);
      this.#take(skipped);
      this.#skipping = length - skipped;
      this.#header = undefined;
      return { stream, type, payload: undefined };
    }
    if (this.#have < length) return undefined;
    this.#header = undefined;
    return { stream, type, payload: this.#take(length) };
  }

  #readHeader(): Header | undefined {
    if (this.#have < HEADER_BYTES) return undefined;
    const header = this.#take(HEADER_BYTES);
    return { length: header.readUInt32BE(0), stream: header.readUInt32BE(4), type: header.readUInt8(8) };
  }

  #take(length: number): Buffer {
    const [first] = this.#chunks;
    const all = first !== undefined && first.length >= length ? first : Buffer.concat(this.#chunks);
    const others = all === first ? this.#chunks.slice(1) : [];
    const rest = all.subarray(length);
    this.#chunks = rest.length > 0 ? [rest, ...others] : others;
    this.#have -= length;
    return all.subarray(0, length);
  }
}
