import { TsrunError } from '../errors.ts';
import type { Arch } from '../program/calls.ts';
import { encode } from '../program/encode.ts';
import type { Packet, Program } from '../program/step.ts';
import { errnoName } from '../util/errno.ts';
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
}

/** A program that ends in execve(2) as the one packet that it is; undefined for one that takes several, or too large a one. */
export function lastPacket(
  program: Program,
  options: { readonly arch: Arch; readonly syncFd: number },
): Packet | undefined {
  const [packet, ...more] = encode(program, options);
  return packet === undefined || more.length > 0 || packet.bytes.length > PACKET_MAX ? undefined : packet;
}

/** Silence is success. Errors: the failed step; `init` when it could not be told, or was gone. */
export function requireSilence(program: Program, packet: Packet, { result, report }: Told): void {
  if (result > 0) throw reportedFailure(program, packet, report.subarray(0, result));
  if (result < 0) throw initGone(program, TsrunError.of('init', program.name, errnoName(-result)));
}
