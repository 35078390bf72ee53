import { TsrunError } from '../errors.ts';
import type { Arch } from '../program/calls.ts';
import { encode, type EncodeOptions } from '../program/encode.ts';
import { LAYOUT, TAG_FAILURE, TAG_MORE } from '../program/layout.ts';
import type { Packet, Program, ReplyForm } from '../program/step.ts';
import { hasErrno } from '../sys/errno.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { pollReadable, waitReadable } from '../sys/events/poll.ts';
import { receiveMessage, sendMessage, type ReceivedMessage } from '../sys/socket.ts';
import { initGone, reportedFailure } from './failure.ts';
import type { Tracer } from './tracer.ts';
import { beginTalk, isOnlyTalk, nextTurn } from './turns.ts';
import type { Will } from '../util/wills.ts';

/**
 * The talk with one init process. How the socket was obtained (a pair made at spawn, a connection to a waiting init) is
 * not its concern.
 *
 *     this side                      init
 *     program  --- packet ----->     runs it
 *              <-- "more" ------     (only before a further packet of the same program)
 *              --- packet ----->
 *              <-- reply -------     tag and words that the program sends, or the failure report
 *     close    --- end of file ->    exit_group
 */
export class Conversation implements Disposable {
  readonly #socket: OwnedFd;
  readonly #arch: Arch;
  readonly #talk: Disposable | undefined;
  readonly #tracer: Tracer | undefined;
  /** The number that the pipe has inside init. */
  readonly syncFd: number;
  /** That of a launcher, with each packet. */
  will: Will | undefined;
  #encoded: { readonly program: Program; readonly packets: readonly Packet[] } | undefined;

  constructor(socket: OwnedFd, { arch, syncFd, will, tracer }: ConversationOptions) {
    this.#socket = socket;
    this.#arch = arch;
    this.syncFd = syncFd;
    this.will = will;
    this.#tracer = tracer;
    // A launcher is there for as long as its program; meanwhile nothing is said.
    this.#talk = will === undefined ? beginTalk() : undefined;
  }

  /**
   * Has a program executed and answers with its reply. Meanwhile the program that comes `next` is encoded.
   *
   * Errors: the failed step as `step` or `program`; `init` when init is gone (`errno` EPIPE), or answers otherwise than the program says.
   */
  async run(program: Program, next?: Program): Promise<Reply> {
    const last = await this.#sendAll(program);
    if (next !== undefined) await nextTurn();
    if (next !== undefined) this.#encoded = { program: next, packets: this.#encode(next) };
    const reply = await this.#receive(program, last);
    this.#tracer?.end(program);
    expectForm(program, reply);
    return reply;
  }

  /**
   * Sends a program behind which init leaves this conversation. Nothing is waited for.
   *
   * Errors: `init` when init is gone.
   */
  dispatch(program: Program): void {
    const packets = encode(program, this.#options());
    if (packets.length !== 1) throw new Error(`bug: ${program.name} takes ${packets.length} packets without answering`);
    for (const packet of packets) this.#send(program, packet.bytes);
  }

  /** As `run`, for an answer that may take as long as it likes. */
  async watch(program: Program): Promise<Reply> {
    const last = await this.#sendAll(program);
    await waitReadable(this.#socket.number);
    const reply = await this.#receive(program, last);
    expectForm(program, reply);
    return reply;
  }

  /**
   * Has a program executed that ends in execve(2): silence (end of file through close-on-exec) is success. The answer is what it says
   * otherwise, and waits for what comes next.
   *
   * Errors: the failed step.
   */
  async runToEnd(program: Program): Promise<Reply | undefined> {
    const last = await this.#sendAll(program);
    await this.#waitForAnswer();
    const message = this.#receiveMessage(program);
    this.#tracer?.end(program);
    return message.bytes.length === 0 ? undefined : this.#judgeEnd(program, last, message);
  }

  /** For another image of this process, which does what `runToEnd` does: descriptor, and packet unless it takes several. */
  handOver(program: Program): { readonly connection: number; readonly packet: Uint8Array } | undefined {
    const [packet, ...more] = this.#encode(program);
    if (packet === undefined || more.length > 0) return undefined;
    return { connection: this.#socket.number, packet: packet.bytes };
  }

  /** What a program says that another image of this process has sent, in the place of its end. Errors: those of `runToEnd`. */
  explainEnd(program: Program): Reply {
    const [packet] = this.#encode(program);
    const message = this.#receiveMessage(program);
    if (packet === undefined || message.bytes.length === 0) throw initGone(program);
    return this.#judgeEnd(program, packet, message);
  }

  close(): void {
    if (!this.#socket.isOpen) return;
    this.#socket.close();
    this.#talk?.[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  // Flaws are bugs of a planner, whose tests hold each of its programs to verify(); here that took a tenth of a container's time.
  #encode(program: Program): readonly Packet[] {
    if (this.#encoded?.program === program) return this.#encoded.packets;
    const traced = this.#tracer?.encode(program, this.#options());
    return traced ?? this.#knownBytes(program) ?? encode(program, this.#options());
  }

  #knownBytes({ encoded }: Program): readonly Packet[] | undefined {
    const fits = encoded?.arch === this.#arch && encoded.syncFd === this.syncFd && this.will === undefined;
    return fits ? encoded.packets : undefined;
  }

  #options(): EncodeOptions {
    return { arch: this.#arch, syncFd: this.syncFd, ...(this.will && { will: this.will }) };
  }

  /** Sends a program packet by packet; answers with the one that executes last. */
  async #sendAll(program: Program): Promise<Packet> {
    const packets = this.#encode(program);
    this.#tracer?.begin(program);
    let last: Packet | undefined;
    for (const packet of packets) {
      if (last !== undefined) await this.#expectMore(program, last);
      this.#send(program, packet.bytes);
      // A payload executes nothing: failures and "more" still belong to the packet that asked for it.
      if (!packet.payload) last = packet;
    }
    if (last === undefined) throw new Error('bug: a program without packets');
    return last;
  }

  #send(program: Program, bytes: Uint8Array): void {
    try {
      sendMessage(this.#socket.number, bytes);
    } catch (error) {
      if (hasErrno(error, 'EPIPE', 'ECONNRESET')) throw initGone(program, error);
      throw error;
    }
  }

  async #expectMore(program: Program, packet: Packet): Promise<void> {
    const reply = await this.#receive(program, packet);
    if (reply.tag !== TAG_MORE)
      throw new TsrunError('init', `${program.name}: init answered ${reply.tag}, wanted "more"`);
  }

  async #receive(program: Program, packet: Packet): Promise<Reply> {
    await this.#waitForAnswer();
    const message = this.#receiveMessage(program);
    if (message.bytes.length === 0) throw initGone(program);
    return this.#judge(program, packet, message);
  }

  /** What a program says in the place of its end. One that has nothing to say can only fail. */
  #judgeEnd(program: Program, packet: Packet, message: ReceivedMessage): Reply {
    const reply = this.#judge(program, packet, message);
    if (program.reply === undefined) for (const descriptor of reply.descriptors) descriptor.close();
    if (program.reply === undefined) throw reportedFailure(program, packet, message.bytes);
    expectForm(program, reply);
    return reply;
  }

  /** A message of init as an answer. Errors: the step, where it is a failure report. */
  #judge(program: Program, packet: Packet, message: ReceivedMessage): Reply {
    const tag = message.bytes.length >= 8 ? message.bytes.readBigUInt64LE(0) : TAG_FAILURE;
    if (tag === TAG_FAILURE) {
      for (const descriptor of message.descriptors) descriptor.close();
      throw reportedFailure(program, packet, message.bytes);
    }
    const explain = (report: Buffer): TsrunError => reportedFailure(program, packet, report);
    return { tag, body: message.bytes.subarray(8), descriptors: message.descriptors, explain };
  }

  /** ECONNRESET: init has ended before it read what it was sent. */
  #receiveMessage(program: Program): ReceivedMessage {
    try {
      return receiveMessage(this.#socket.number, LAYOUT.message.size);
    } catch (error) {
      if (hasErrno(error, 'ECONNRESET')) throw initGone(program, error);
      throw error;
    }
  }

  /**
   * Most answers come within microseconds: this thread looks for a moment before it hands the waiting to the pool, whose
   * wake-up alone costs more than the usual answer takes. Not while others talk too: they would stand still, and with them
   * everything else in the process.
   */
  async #waitForAnswer(): Promise<void> {
    const PATIENCE_MS = 2;
    if (isOnlyTalk() && pollReadable(this.#socket.number, PATIENCE_MS)) return;
    await waitReadable(this.#socket.number);
    await nextTurn();
  }
}

/** With whom a conversation is held. */
export interface ConversationOptions {
  readonly arch: Arch;
  /** The number that the pipe has inside init. */
  readonly syncFd: number;
  /** At the other end is a launcher and no init: what it goes on from when nothing more is heard of this process. */
  readonly will?: Will;
  /** Who wants to know how long its steps take. */
  readonly tracer?: Tracer | undefined;
}

/** The part of it that an init can have with somebody else's help. */
export type Talk = Pick<Conversation, 'run' | 'runToEnd'>;

/** What a program answers. */
export interface Reply {
  readonly tag: bigint;
  /** The bytes behind the tag. */
  readonly body: Buffer;
  /** Descriptors that came along, owned by the caller. */
  readonly descriptors: readonly OwnedFd[];
  /** What a failure report means that a process which the program has forked sends by another way. */
  readonly explain: (report: Buffer) => TsrunError;
}

/** Throws a TsrunError `init`, and closes what came along, where an answer has not the form that its program says. */
export function expectForm({ name, reply: wanted }: Program, { tag, body, descriptors }: Reply): void {
  if (wanted === undefined) return;
  const fits = tag === wanted.tag && isWithin(body.length / 8, wanted.words);
  if (fits && isWithin(descriptors.length, wanted.descriptors)) return;
  for (const descriptor of descriptors) descriptor.close();
  const found = `tag ${tag}, ${body.length} bytes and ${descriptors.length} descriptors`;
  throw new TsrunError('init', `${name}: init answered ${found}, wanted ${describeForm(wanted)}`);
}

function isWithin(count: number, range: ReplyForm['words']): boolean {
  if (typeof range === 'number') return count === range;
  const [fewest, most] = range;
  return Number.isInteger(count) && count >= fewest && count <= most;
}

function describeForm({ tag, words, descriptors }: ReplyForm): string {
  const count = (range: ReplyForm['words'], unit = 1): string =>
    (typeof range === 'number' ? [range] : range).map((bound) => `${bound * unit}`).join(' to ');
  return `tag ${tag}, ${count(words, 8)} bytes and ${count(descriptors)} descriptors`;
}
