import { ERRNO, type Errno } from '../util/errno.ts';
import { writeWord } from './bytes.ts';
import { CALLS, type Arch } from './calls.ts';
import { DataArea, regionAddress } from './data-area.ts';
import {
  ACCEPT_SLOTS,
  ARGUMENT_COUNT,
  CHECK_NUMBER,
  FLAG_ACCEPT_ANY,
  FLAG_INVERT,
  FORMAT_VERSION,
  LAYOUT,
  OFFSETS,
  OPERATION_SIZE,
  PACKET_HEADER_SIZE,
} from './layout.ts';
import type { CallStep, CheckStep, Operand, Place, Region, Step } from './step.ts';

/**
 * The bytes of one packet, header included, which will lie at `base`. `mark` is the packet's number, or the will; items that lie in the
 * area `bulk` are not placed in the packet. Throws AreaFull where the data does not fit behind the operations.
 */
export function encodeOperations(steps: readonly Step[], options: Omit<PacketOptions, 'count'>): Uint8Array {
  return writePacket({ ...options, count: steps.length }, (writer) => {
    writer.write(steps);
  });
}

/** What a packet is made with. */
export interface PacketOptions {
  /** Operations. */
  readonly count: number;
  readonly arch: Arch;
  readonly mark: number;
  readonly base: number;
  readonly bulk: DataArea | undefined;
}

/** Where packets are written, all 0 in between: most are short, and memory of their largest size for each would soon be garbage. */
const SHEET = new Uint8Array(LAYOUT.message.size);

/** The bytes of a packet that `write` fills with as many operations as `count` says. Throws AreaFull. */
export function writePacket(options: PacketOptions, write: (writer: OperationsWriter) => void): Uint8Array {
  try {
    const writer = new OperationsWriter(options);
    write(writer);
    return SHEET.slice(0, writer.area.end);
  } finally {
    SHEET.fill(0);
  }
}

/**
 * Writes one packet, operation by operation.
 *
 * Most programs are encoded once, by code that has never run: it stores whole words where it can, and calls little.
 */
class OperationsWriter {
  readonly bytes = SHEET;
  /** The packet as numbers of 4 bytes: little endian, as every architecture that there are call numbers for. */
  readonly halves = new Uint32Array(this.bytes.buffer);
  readonly view = new DataView(this.bytes.buffer);
  readonly area: DataArea;
  /** Offset of the next operation in the packet. */
  at = PACKET_HEADER_SIZE;
  readonly #arch: Arch;

  constructor({ count, arch, mark, base, bulk }: PacketOptions) {
    this.#arch = arch;
    const end = PACKET_HEADER_SIZE + count * OPERATION_SIZE;
    this.area = new DataArea(this.bytes, { base, start: end, elsewhere: bulk });
    writeWord(this.view, OFFSETS.end, base + end);
    this.view.setUint32(OFFSETS.version, FORMAT_VERSION, true);
    this.view.setUint32(OFFSETS.sequence, mark, true);
  }

  write(steps: readonly Step[]): void {
    for (const step of steps) {
      if (step.kind === 'call') writeCall(this, step, this.#arch);
      else writeCheck(this, step);
      this.at += OPERATION_SIZE;
    }
  }

  /** Leaves room for operations that the caller writes. Shape: their offset. */
  skip(bytes: number): number {
    const { at } = this;
    this.at += bytes;
    return at;
  }
}

/** Where an operation is being written: offset of it in the packet, and the packet. */
type OperationWriter = Pick<OperationsWriter, 'halves' | 'view' | 'at' | 'area'>;

function writeCall(writer: OperationWriter, step: CallStep, arch: Arch): void {
  const { halves, at } = writer;
  const { accept, result } = step;
  const flags = accept === 'any' ? FLAG_ACCEPT_ANY : 0;
  writeHead(writer, { number: CALLS[step.call][arch], flags, indirect: writeArguments(writer, step.operands) });
  if (result !== undefined) halves[(at + OFFSETS.result) / 4] = placeAddress(result, writer.area);
  if (accept !== undefined && accept !== 'any') writeAccept(writer, accept);
}

function writeCheck(writer: OperationWriter, { condition, then }: CheckStep): void {
  const count = 'skip' in then ? then.skip : -ERRNO[then.fail];
  const operands: Operand[] = [placeAddress(condition.value, writer.area), condition.mask, condition.wanted, count];
  // As a skip counts: -1 would be the check itself.
  if ('repeat' in then) operands.push(then.tries, -then.repeat - 1);
  const indirect = writeArguments(writer, operands);
  writeHead(writer, { number: CHECK_NUMBER, flags: condition.invert ? FLAG_INVERT : 0, indirect });
}

function writeHead(
  { halves, at }: OperationWriter,
  { number, indirect, flags }: { number: number; indirect: number; flags: number },
): void {
  halves[(at + OFFSETS.number) / 4] =
    number |
    (indirect << (8 * (OFFSETS.indirect - OFFSETS.number))) |
    (flags << (8 * (OFFSETS.flags - OFFSETS.number)));
}

/** Returns which of them are indirect, a bit each. */
function writeArguments({ halves, view, at, area }: OperationWriter, operands: readonly Operand[]): number {
  if (operands.length > ARGUMENT_COUNT) throw new RangeError(`bug: ${operands.length} operands`);
  let indirect = 0;
  let bit = 1;
  let offset = at + OFFSETS.arguments;
  // An iterator would be the better part of what encoding leaves behind.
  for (let index = 0; index < operands.length; index++) {
    const operand = operands[index] ?? 0;
    const value = typeof operand === 'number' ? operand : argumentValue(operand, area);
    // The upper half is 0 already.
    if (typeof value === 'number' && value >>> 0 === value) halves[offset / 4] = value;
    else writeWord(view, offset, value);
    if (typeof operand === 'object' && (operand.kind === 'region' || operand.kind === 'place')) indirect |= bit;
    bit <<= 1;
    offset += 8;
  }
  return indirect;
}

/** The 8 bytes of an operand: its value, or the address of it. */
function argumentValue(operand: Operand, area: DataArea): number | bigint {
  if (typeof operand === 'number' || typeof operand === 'bigint') return operand;
  if (typeof operand === 'string' || operand.kind === 'block') return area.addressOf(operand);
  if (operand.kind === 'address') return baseAddress(operand.of, area) + operand.offset;
  return placeAddress(operand, area);
}

function placeAddress(place: Region | Place, area: DataArea): number {
  return place.kind === 'region' ? regionAddress(place) : baseAddress(place.of, area) + place.offset;
}

function baseAddress(of: Place['of'], area: DataArea): number {
  return of.kind === 'region' ? regionAddress(of) : area.addressOf(of);
}

function writeAccept({ view, at }: OperationWriter, accept: readonly Errno[]): void {
  if (accept.length > ACCEPT_SLOTS)
    throw new RangeError(`bug: ${accept.length} accepted errnos, at most ${ACCEPT_SLOTS}`);
  let offset = at + OFFSETS.accept;
  for (const errno of accept) {
    view.setUint16(offset, ERRNO[errno], true);
    offset += 2;
  }
}
