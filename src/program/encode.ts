import { TsrunError } from '../errors.ts';
import { call, wordBlock } from './build.ts';
import type { Arch, CallName } from './calls.ts';
import { cutProgram, type Range } from './cut.ts';
import { AreaFull, DataArea } from './data-area.ts';
import { encodeOperations } from './encode-operations.ts';
import { Measure, visitItems } from './items.ts';
import { LAYOUT, OPERATION_SIZE, PACKET_HEADER_SIZE, TAG_MORE } from './layout.ts';
import { translateSteps } from './open-flags.ts';
import { SeriesEncoder } from './encode-series.ts';
import { isSeries, segmentParts, type Segment } from './segments.ts';
import type { CallStep, Packet, Program, Step } from './step.ts';
import { MSG_NOSIGNAL } from '../util/constants.ts';
import { encodeWill, type Will } from '../util/wills.ts';

/** The init that the bytes are for: both as its image was made with. */
export interface EncodeOptions {
  readonly arch: Arch;
  /** The sync pipe in the init process, over which it asks for more. */
  readonly syncFd: number;
  /**
   * For a launcher rather than an init: what its cold command goes on from when nothing more is heard from here. FORMAT.md says what else
   * is not the same.
   */
  readonly will?: Will;
  /** Where the program lies when it is executed. Default: the message. Elsewhere a program has to fit into one packet. */
  readonly base?: number;
}

/**
 * The bytes of a program, as FORMAT.md draws them: one packet, or several of which each but the first is sent after the
 * reply TAG_MORE to the one before.
 * Throws a TsrunError `program` (E2BIG) when its data exceeds bulk, a RangeError for a program that makes no sense.
 */
export function encode(program: Program, options: EncodeOptions): Packet[] {
  const answers = (steps: readonly Step[]): number => answerOf(program, steps, options);
  const segments = program.parts === undefined ? undefined : segmentParts(program.parts, answers);
  if (segments !== undefined) return encodeSegments(segments, program, options);
  const steps = translateSteps(program.steps, options.arch);
  const whole = encodeWhole(steps, options);
  if (whole !== undefined) return [whole];
  if (baseOf(options) !== LAYOUT.message.address)
    throw new RangeError(`bug: ${JSON.stringify(program.name)} does not fit into one packet`);
  const packets: Packet[] = [];
  encodeCut(packets, { steps, at: 0, isLast: true, answer: answerOf(program, steps, options) }, options);
  return packets;
}

/** Steps of a program that are cut by themselves. */
interface Stretch {
  readonly steps: readonly Step[];
  /** Index of the first of them in the program. */
  readonly at: number;
  /** Nothing of the program comes behind them. */
  readonly isLast: boolean;
  /** Index of the answer among them, or -1. */
  readonly answer: number;
}

function encodeCut(packets: Packet[], { steps, at, isLast, answer }: Stretch, options: EncodeOptions): void {
  const cuts = cutProgram(steps, answer);
  const bulk = fillBulk(steps, cuts.bulk);
  const more = moreStep(options);
  const push = (own: Range, added: readonly Step[]): void => {
    const bytes = encodeOperations([...steps.slice(own.from, own.to), ...added], {
      arch: options.arch,
      mark: markOf(options, packets.length),
      base: baseOf(options),
      bulk: bulk.area,
    });
    const indexes = Array.from({ length: own.to - own.from }, (_, index) => at + own.from + index);
    packets.push({ bytes, steps: [...indexes, ...added.map(() => -1)], payload: false });
  };
  if (bulk.area !== undefined) {
    const parts = splitPayload(bulk.bytes);
    push({ from: 0, to: 0 }, [...parts.flatMap((part) => [more, readStep(options.syncFd, part)]), more]);
    for (const bytes of parts) packets.push({ bytes, steps: [], payload: true });
  }
  cuts.ranges.forEach((range, index) => {
    push(range, isLast && index === cuts.ranges.length - 1 ? [] : [more]);
  });
}

/** Series in packets of their own, and what comes between them. */
function encodeSegments(segments: readonly Segment[], program: Program, options: EncodeOptions): Packet[] {
  const packets: Packet[] = [];
  const more = moreStep(options);
  let at = 0;
  segments.forEach((segment, index) => {
    const isLast = index === segments.length - 1;
    if (!isSeries(segment)) {
      const steps = translateSteps(segment, options.arch);
      encodeCut(packets, { steps, at, isLast, answer: answerOf(program, steps, options) }, options);
      at += steps.length;
      return;
    }
    const encoder = new SeriesEncoder(segment, options.arch);
    for (let from = 0; from < segment.count;) {
      const to = from + Math.max(encoder.fitting(from, [more]), 1);
      const bytes = encoder.encode({ from, to, added: [more], mark: markOf(options, packets.length) });
      packets.push(new SeriesPacket(bytes, at + from * encoder.length, (to - from) * encoder.length));
      from = to;
    }
    at += segment.count * encoder.length;
  });
  return packets;
}

/** A packet of a series, whose operations are those of the program from an index on, and a request for more. */
class SeriesPacket implements Packet {
  readonly bytes: Uint8Array;
  readonly payload = false;
  readonly #from: number;
  readonly #count: number;

  constructor(bytes: Uint8Array, from: number, count: number) {
    this.bytes = bytes;
    this.#from = from;
    this.#count = count;
  }

  get steps(): readonly number[] {
    return [...Array.from({ length: this.#count }, (_, index) => this.#from + index), -1];
  }
}

function answerOf(program: Program, steps: readonly Step[], { syncFd }: EncodeOptions): number {
  return program.replies ? firstAnswer(steps, syncFd) : -1;
}

/** The first of the steps that send the answer, of which one is taken where there are several; -1 where none is. */
function firstAnswer(steps: readonly Step[], syncFd: number): number {
  return steps.findIndex(
    (step) => step.kind === 'call' && ANSWERS.has(step.call) && step.operands[0] === syncFd && step.accept !== 'any',
  );
}

const ANSWERS: ReadonlySet<CallName> = new Set(['write', 'writev', 'sendmsg']);

/** The one packet of a program that fits into it, as nearly all do: nothing is measured first. */
function encodeWhole(steps: readonly Step[], options: EncodeOptions): Packet | undefined {
  if (PACKET_HEADER_SIZE + steps.length * OPERATION_SIZE > LAYOUT.message.size) return undefined;
  try {
    const bytes = encodeOperations(steps, {
      arch: options.arch,
      mark: markOf(options, 0),
      base: baseOf(options),
      bulk: undefined,
    });
    return { bytes, steps: steps.map((_, index) => index), payload: false };
  } catch (error) {
    if (error instanceof AreaFull) return undefined;
    throw error;
  }
}

function baseOf({ base = LAYOUT.message.address }: EncodeOptions): number {
  return base;
}

/** The number in a packet's header: in a conversation with init, which has no will, the packet's own. */
function markOf({ will }: EncodeOptions, sequence: number): number {
  return will === undefined ? sequence : encodeWill(will);
}

/**
 * The step that a failure report is about, from the address in it; -1 for an operation that the encoder added.
 * Throws a TsrunError `init` when the address is none of the packet's operations.
 */
export function stepOfFailure(packet: Packet, address: number): number {
  const step = packet.steps[(address - LAYOUT.message.address - PACKET_HEADER_SIZE) / OPERATION_SIZE];
  if (step === undefined)
    throw new TsrunError('init', `read failure report: 0x${address.toString(16)} is not the address of an operation`);
  return step;
}

/** Fills the bulk area with the data of steps that are too large for a packet. */
function fillBulk(steps: readonly Step[], ranges: readonly Range[]): { bytes: Uint8Array; area: DataArea | undefined } {
  if (ranges.length === 0) return { bytes: new Uint8Array(0), area: undefined };
  const items = ranges.flatMap(({ from, to }) => steps.slice(from, to));
  const size = new Measure();
  for (const step of items) size.addStep(step);
  if (size.bytes > LAYOUT.bulk.size)
    throw TsrunError.of(
      'program',
      `send arguments and environment: ${size.bytes} bytes found, at most ${LAYOUT.bulk.size} wanted`,
      'E2BIG',
    );
  const bytes = new Uint8Array(size.bytes);
  const area = new DataArea(bytes, { base: LAYOUT.bulk.address, start: 0 });
  for (const step of items) visitItems(step, (item) => void area.addressOf(item));
  return { bytes, area };
}

function splitPayload(bytes: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += LAYOUT.message.size)
    parts.push(bytes.subarray(at, at + LAYOUT.message.size));
  return parts;
}

/** The reply that asks for the next datagram. */
function moreStep({ syncFd, will }: EncodeOptions): CallStep {
  const operands = [syncFd, wordBlock([TAG_MORE], '{tag=more}'), 8];
  const label = { label: 'ask for more' };
  return will === undefined ? call('write', operands, label) : call('sendto', [...operands, MSG_NOSIGNAL, 0, 0], label);
}

/** Reads one payload to its place in bulk. */
function readStep(syncFd: number, part: Uint8Array): CallStep {
  return call('read', [syncFd, LAYOUT.bulk.address + part.byteOffset, part.length], { label: 'read data' });
}
