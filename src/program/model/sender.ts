import type { Packet } from '../step.ts';
import { TAG_MORE } from '../layout.ts';

/** The sync pipe of a model. */
export interface Mailbox {
  /** Datagrams that wait at the sync pipe; the simulation appends, read(2) and the simulation take the first. */
  readonly inbox: Uint8Array[];
  /** Datagrams that were written to the sync pipe. */
  readonly outbox: Uint8Array[];
}

/** The other side of the sync pipe: sends the next packet when it is asked for more, and collects the other replies. */
export class ModelSender {
  readonly replies: Uint8Array[] = [];
  readonly #packets: readonly Packet[];
  readonly #kernel: Mailbox;
  #sent = 0;
  #seen: number;

  constructor(packets: readonly Packet[], kernel: Mailbox) {
    this.#packets = packets;
    this.#kernel = kernel;
    this.#seen = kernel.outbox.length;
    this.#send();
  }

  /** The packet that a datagram is, by identity. */
  packetOf(bytes: Uint8Array): Packet {
    const packet = this.#packets.find((candidate) => candidate.bytes === bytes);
    if (packet === undefined) throw new RangeError('bug: init received a datagram that nobody sent');
    return packet;
  }

  /** Deals with the datagrams that init has written since the last time. */
  answer(): void {
    for (; this.#seen < this.#kernel.outbox.length; this.#seen++) {
      const reply = this.#kernel.outbox[this.#seen] ?? new Uint8Array();
      if (isMore(reply) && this.#sent < this.#packets.length) this.#send();
      else this.replies.push(reply);
    }
  }

  #send(): void {
    const packet = this.#packets[this.#sent++];
    if (packet !== undefined) this.#kernel.inbox.push(packet.bytes);
  }
}

function isMore(reply: Uint8Array): boolean {
  return reply.length === 8 && new DataView(reply.buffer, reply.byteOffset).getBigUint64(0, true) === TAG_MORE;
}
