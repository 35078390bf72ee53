import { uninterrupted } from '../../sys/events/interruption.ts';
import { callAfter } from '../../sys/events/poll.ts';
import { reachUnix } from '../../sys/events/unix-socket.ts';
import { decode, encode } from '../../protobuf/codec.ts';
import { FRAME_TYPE, type Frame } from '../wire/frames.ts';
import { CODE, REQUEST, RESPONSE, RpcError } from '../wire/rpc.ts';
import { Channel } from './channel.ts';

/** What is called, and for how long its answer is waited for. */
export interface Call {
  readonly service: string;
  readonly method: string;
  readonly payload: Uint8Array;
  readonly timeoutMs: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

interface Pending {
  readonly resolve: (payload: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/** A connection on which calls are made. */
export class Client implements Disposable {
  readonly #channel: Channel;
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  #isOver = false;

  private constructor(channel: Channel) {
    this.#channel = channel;
    void uninterrupted(() => this.#read());
  }

  /** Connects to the socket at a path. Errors: `host`. */
  static async connect(path: string): Promise<Client> {
    return new Client(new Channel(await reachUnix(path, 'stream')));
  }

  /** The other side has ended, or this one was disposed of. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The payload of the answer. Errors: `RpcError` with the code of the answer; UNAVAILABLE when there is none. */
  async call({ service, method, payload, timeoutMs, metadata = {} }: Call): Promise<Buffer> {
    if (this.#isOver) throw lost();
    const stream = this.#next;
    this.#next += 2;
    const entries = Object.entries(metadata).map(([key, value]) => ({ key, value }));
    const request = { service, method, payload, timeoutNs: timeoutMs * 1e6, metadata: entries };
    const answered = new Promise<Buffer>((resolve, reject) => this.#pending.set(stream, { resolve, reject }));
    using _timer = callAfter(timeoutMs, () => {
      this.#pending.get(stream)?.reject(new RpcError(CODE.unavailable, `no answer within ${timeoutMs} ms`));
    });
    try {
      this.#channel.send(stream, FRAME_TYPE.request, encode(REQUEST, request));
      return await answered;
    } finally {
      this.#pending.delete(stream);
    }
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#channel.close();
  }

  async #read(): Promise<void> {
    try {
      for await (const frame of this.#channel.frames()) this.#settle(frame);
    } catch {
      // What waits is told below.
    } finally {
      this.#isOver = true;
      this.#channel.close();
      for (const { reject } of this.#pending.values()) reject(lost());
    }
  }

  #settle({ stream, type, payload }: Frame): void {
    const pending = this.#pending.get(stream);
    if (type !== FRAME_TYPE.response || pending === undefined) return;
    try {
      if (payload === undefined) throw new RpcError(CODE.resourceExhausted, 'the answer is too long');
      const { status, payload: answer } = decode(RESPONSE, payload);
      const { code = 0, message = '' } = status ?? {};
      if (code !== 0) throw new RpcError(code, message);
      pending.resolve(answer as Buffer);
    } catch (error) {
      pending.reject(error as Error);
    }
  }
}

function lost(): RpcError {
  return new RpcError(CODE.unavailable, 'the connection has ended');
}
