import { TsrunError } from '../errors.ts';
import type { Arch } from '../program/calls.ts';
import { encode } from '../program/encode.ts';
import type { Packet, Program } from '../program/step.ts';
import { errnoName } from '../util/errno.ts';
import { TAG_FAILURE } from '../program/layout.ts';
import { expectForm, type Reply, type Talk } from './conversation.ts';
import { initGone, reportedFailure } from './failure.ts';

/** A packet has to leave room for what sends it on. */
const PACKET_MAX = 48 * 1024;

/** An init that waits for `start`, for whoever sends it its last packet. */
export interface InitToTell {
  /** Descriptor of the state directory. */
  readonly directory: number;
  /** Path of its socket in there. */
  readonly socketName: string;
  /** What it wants to be shown, hexadecimal, by whom it cannot know the one that starts it otherwise. */
  readonly token: string | undefined;
}

/** What a waiting init has said to its last packet, which somebody else than this process has sent. */
export interface Told {
  /** 0 for silence, a negative errno, or how much of the report there is. */
  readonly result: number;
  readonly report: Buffer;
  /** Sends it another packet, while it waits for one. */
  readonly tellMore: (packet: Uint8Array) => Promise<Told>;
}

/** A program that ends in execve(2) as the one packet that it is; undefined for one that takes several, or too large a one. */
export function lastPacket(
  program: Program,
  options: { readonly arch: Arch; readonly syncFd: number },
): Packet | undefined {
  const [packet, ...more] = encode(program, options);
  return packet === undefined || more.length > 0 || packet.bytes.length > PACKET_MAX ? undefined : packet;
}

/**
 * The answer in what was said; undefined for silence, which is success. Errors: the failed step; `init` when it could not be told, was gone,
 * or answers otherwise than the program says.
 */
export function answerOfTold(program: Program, packet: Packet, { result, report }: Told): Reply | undefined {
  if (result < 0) throw initGone(program, TsrunError.of('init', program.name, errnoName(-result)));
  if (result === 0) return undefined;
  const bytes = report.subarray(0, result);
  const explain = (message: Buffer): TsrunError => reportedFailure(program, packet, message);
  const isFailure = bytes.length < 8 || bytes.readBigUInt64LE(0) === TAG_FAILURE;
  if (isFailure || program.reply === undefined) throw explain(bytes);
  const reply = { tag: bytes.readBigUInt64LE(0), body: bytes.subarray(8), descriptors: [], explain };
  expectForm(program, reply);
  return reply;
}

/** An init that was told its last packet and waits for another, as a `Conversation` has it. */
export class ToldInit implements Talk {
  readonly #tellMore: Told['tellMore'];
  readonly #options: { readonly arch: Arch; readonly syncFd: number };

  constructor({ tellMore }: Told, options: { readonly arch: Arch; readonly syncFd: number }) {
    this.#tellMore = tellMore;
    this.#options = options;
  }

  async run(program: Program): Promise<Reply> {
    const reply = await this.runToEnd(program);
    if (reply === undefined) throw initGone(program);
    return reply;
  }

  async runToEnd(program: Program): Promise<Reply | undefined> {
    const packet = lastPacket(program, this.#options);
    if (packet === undefined) throw new Error(`bug: ${program.name} takes more than one packet`);
    return answerOfTold(program, packet, await this.#tellMore(packet.bytes));
  }
}
