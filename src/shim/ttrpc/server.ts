import type { Log } from '../../log.ts';
import { nowMs } from '../../sys/clock.ts';
import { uninterrupted } from '../../sys/events/interruption.ts';
import { waitAny } from '../../sys/events/poll.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { acceptUnix, peerCredentials } from '../../sys/socket.ts';
import { POLLIN } from '../../util/constants.ts';
import { decode, encode, WireError } from '../../protobuf/codec.ts';
import { FRAME_TYPE, type Frame } from '../wire/frames.ts';
import { CODE, REQUEST, RESPONSE, RpcError } from '../wire/rpc.ts';
import { Channel } from './channel.ts';

/** Who waits for the answer of a call. */
export interface Caller {
  /** Its patience is over, or its connection: nobody hears the answer. */
  readonly isGone: () => boolean;
}

/** Carries out a call: its payload -> the payload of the answer. Errors: `RpcError` with a code; every other one has the code UNKNOWN. */
export type Method = (payload: Buffer, caller: Caller) => Promise<Uint8Array>;

/** Name of a service -> name of a method -> the method. */
export type Services = ReadonlyMap<string, ReadonlyMap<string, Method>>;

/** A server's own bounds: containerd has one connection, and some calls at a time for each container. */
const CONNECTIONS_MAX = 128;
const CALLS_MAX = 4096;
const FULL_PAUSE_MS = 100;

/** Serves calls on a listening socket; each as it comes, however long another takes. */
export class Server {
  readonly #services: Services;
  readonly #log: Log;
  readonly #channels = new Set<Channel>();
  readonly #connectionsMax: number;

  constructor(services: Services, log: Log, { connectionsMax = 0 }: { readonly connectionsMax?: number } = {}) {
    this.#services = services;
    this.#log = log;
    this.#connectionsMax = Math.max(connectionsMax, CONNECTIONS_MAX);
  }

  /** Takes connections until the signal ends it. The listener stays its owner's, and does not block. */
  async serve(listener: OwnedFd, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const isFull = this.#channels.size >= this.#connectionsMax;
      const interests = isFull ? [] : [{ fd: listener.number, events: POLLIN }];
      await waitAny(interests, isFull ? FULL_PAUSE_MS : -1, { signal }).catch(() => undefined);
      this.#takeAll(listener);
    }
  }

  #takeAll(listener: OwnedFd): void {
    while (this.#channels.size < this.#connectionsMax) {
      const socket = acceptUnix(listener.number);
      if (socket === undefined) return;
      this.#take(socket);
    }
  }

  /** Closes every connection. */
  close(): void {
    for (const channel of this.#channels) channel.close();
  }

  /** The socket's mode keeps others out already; whoever got it in another way is sent away. */
  #take(socket: OwnedFd): void {
    const { uid } = peerCredentials(socket.number);
    if (uid !== (process.geteuid?.() ?? 0)) {
      this.#log.warning(`user ${uid} has connected to the socket: refused`);
      socket.close();
      return;
    }
    const channel = new Channel(socket);
    this.#channels.add(channel);
    void uninterrupted(() => this.#converse(channel));
  }

  async #converse(channel: Channel): Promise<void> {
    const connection = { last: 0, calls: 0 };
    try {
      for await (const frame of channel.frames()) {
        if (frame.type === FRAME_TYPE.request) this.#request(channel, connection, frame);
      }
    } catch (error) {
      this.#log.warning(`a connection: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      this.#channels.delete(channel);
      channel.close();
    }
  }

  #request(channel: Channel, connection: { last: number; calls: number }, { stream, payload }: Frame): void {
    const refuse = (code: number, message: string): void => {
      channel.send(stream, FRAME_TYPE.response, encode(RESPONSE, { status: { code, message } }));
    };
    if (stream % 2 !== 1) {
      refuse(CODE.invalidArgument, `stream ${stream} is even, wanted an odd one`);
      return;
    }
    if (stream <= connection.last) {
      refuse(CODE.invalidArgument, `stream ${stream} is not above ${connection.last}, the last one`);
      return;
    }
    connection.last = stream;
    if (payload === undefined) refuse(CODE.resourceExhausted, 'the request is too long');
    else if (connection.calls >= CALLS_MAX) refuse(CODE.resourceExhausted, 'too many calls at a time');
    else {
      connection.calls += 1;
      void this.#answer(payload, channel).then((response) => {
        connection.calls -= 1;
        channel.send(stream, FRAME_TYPE.response, response);
      });
    }
  }

  async #answer(bytes: Buffer, channel: Channel): Promise<Uint8Array> {
    try {
      const { service, method, payload, timeoutNs } = decode(REQUEST, bytes);
      const found = this.#services.get(service)?.get(method);
      if (found === undefined) throw new RpcError(CODE.unimplemented, `there is no method ${service}/${method}`);
      const untilMs = Number(timeoutNs) > 0 ? nowMs() + Number(timeoutNs) / 1e6 : Infinity;
      const caller = { isGone: () => !this.#channels.has(channel) || nowMs() > untilMs };
      return encode(RESPONSE, { payload: await found(payload as Buffer, caller) });
    } catch (error) {
      if (error instanceof WireError) return failure(CODE.invalidArgument, error);
      return failure(error instanceof RpcError ? error.code : CODE.unknown, error);
    }
  }
}

function failure(code: number, error: unknown): Uint8Array {
  return encode(RESPONSE, { status: { code, message: error instanceof Error ? error.message : String(error) } });
}
