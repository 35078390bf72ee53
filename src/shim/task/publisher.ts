import type { Log } from '../../log.ts';
import { sleep } from '../../sys/events/poll.ts';
import { inTurn } from '../../sys/events/turn-queue.ts';
import { uninterrupted } from '../../sys/events/interruption.ts';
import { Client } from '../ttrpc/client.ts';
import { encode } from '../../protobuf/codec.ts';
import { timestampOf } from '../wire/common.ts';
import { encodeEvent, FORWARD_REQUEST, type EventOf, type Topic } from '../wire/events.ts';
import { RpcError, CODE } from '../wire/rpc.ts';

const TIMEOUT_MS = 5_000;
const PAUSE_MS_MAX = 5_000;
/** containerd may be restarted meanwhile; what it does not want, it does not want later either. */
const REFUSALS_MAX = 5;
const WAITING_MAX = 16_384;

/** Sends events to containerd, one after the other in their order; what it does not take is sent again. */
export class Publisher {
  readonly #address: string;
  readonly #namespace: string;
  readonly #log: Log;
  readonly #waiting: (() => Uint8Array)[] = [];
  #client: Client | undefined;
  #sending: Promise<void> | undefined;

  /** `address`: path of the socket of containerd's ttrpc services. */
  constructor({
    address,
    namespace,
    log,
  }: {
    readonly address: string;
    readonly namespace: string;
    readonly log: Log;
  }) {
    this.#address = address;
    this.#namespace = namespace;
    this.#log = log;
  }

  /** Puts an event behind those that wait. */
  publish<Name extends Topic>(topic: Name, event: EventOf<Name>): void {
    const timestamp = timestampOf(Date.now());
    const encoded = (): Uint8Array => {
      const envelope = { timestamp, namespace: this.#namespace, topic, event: encodeEvent(topic, event) };
      return encode(FORWARD_REQUEST, { envelope });
    };
    if (this.#waiting.push(encoded) > WAITING_MAX) {
      this.#waiting.shift();
      this.#log.error('more events wait for containerd than are kept: the oldest is lost');
    }
    this.#sending ??= uninterrupted(() => this.#sendAll());
  }

  /** Waits until everything is sent, for a while. */
  async flush(timeoutMs: number): Promise<void> {
    await Promise.race([this.#sending, sleep(timeoutMs)]);
  }

  async #sendAll(): Promise<void> {
    // Whoever waits for an answer comes first.
    await new Promise<void>(inTurn);
    for (let encoded = this.#waiting[0]; encoded !== undefined; encoded = this.#waiting[0]) {
      await this.#send(encoded());
      this.#waiting.shift();
    }
    this.#sending = undefined;
  }

  async #send(payload: Uint8Array): Promise<void> {
    let refusals = 0;
    for (let pauseMs = 100; refusals < REFUSALS_MAX; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
      try {
        if (this.#client?.isOver !== false) this.#client = await Client.connect(this.#address);
        await this.#client.call({
          service: 'containerd.services.events.ttrpc.v1.Events',
          method: 'Forward',
          payload,
          timeoutMs: TIMEOUT_MS,
          metadata: { 'containerd-namespace-ttrpc': this.#namespace },
        });
        return;
      } catch (error) {
        if (error instanceof RpcError && error.code !== CODE.unavailable) refusals += 1;
        const reason = error instanceof Error ? error.message : String(error);
        this.#log.warning(`send an event to containerd: ${reason}`);
        // At once on a new connection, where this one has just ended: containerd was restarted.
        if (pauseMs > 100 || refusals > 0) await sleep(pauseMs);
      }
    }
    this.#log.error('containerd has refused an event: it is lost');
  }
}
