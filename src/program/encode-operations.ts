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
 * The bytes of one packet, header included; the caller has measured that the steps fit.
 * `sequence` is the packet's number; items that lie in the area `bulk` are not placed in the packet.
 */
export function encodeOperations(
  steps: readonly Step[],
  { arch, sequence, bulk }: { arch: Arch; sequence: number; bulk: DataArea | undefined },
): Uint8Array {
  const bytes = new Uint8Array(LAYOUT.message.size);
  const end = PACKET_HEADER_SIZE + steps.length * OPERATION_SIZE;
  const area = new DataArea(bytes, { base: LAYOUT.message.address, start: end, elsewhere: bulk });
  const view = new DataView(bytes.buffer);
  writeWord(view, OFFSETS.end, LAYOUT.message.address + end);
  view.setUint32(OFFSETS.version, FORMAT_VERSION, true);
  view.setUint32(OFFSETS.sequence, sequence, true);
  steps.forEach((step, index) => {
    const writer = { view, at: PACKET_HEADER_SIZE + index * OPERATION_SIZE, area };
    if (step.kind === 'call') writeCall(writer, step, arch);
    else writeCheck(writer, step);
  });
  return bytes.subarray(0, area.end);
}

interface OperationWriter {
  readonly view: DataView;
  /** Offset of the operation in the packet. */
  readonly at: number;
  readonly area: DataArea;
}

function writeCall(writer: OperationWriter, step: CallStep, arch: Arch): void {
  const { view, at } = writer;
  view.setUint16(at + OFFSETS.number, CALLS[step.call][arch], true);
  writeArguments(writer, step.operands);
  if (step.result !== undefined) view.setUint32(at + OFFSETS.result, placeAddress(step.result, writer.area), true);
  if (step.accept === 'any') view.setUint8(at + OFFSETS.flags, FLAG_ACCEPT_ANY);
  else if (step.accept !== undefined) writeAccept(writer, step.accept);
}

function writeCheck(writer: OperationWriter, { condition, then }: CheckStep): void {
  const { view, at, area } = writer;
  view.setUint16(at + OFFSETS.number, CHECK_NUMBER, true);
  view.setUint8(at + OFFSETS.flags, condition.invert ? FLAG_INVERT : 0);
  const count = 'skip' in then ? then.skip : -ERRNO[then.fail];
  writeArguments(writer, [placeAddress(condition.value, area), condition.mask, condition.wanted, count]);
}

function writeArguments({ view, at, area }: OperationWriter, operands: readonly Operand[]): void {
  if (operands.length > ARGUMENT_COUNT) throw new RangeError(`bug: ${operands.length} operands`);
  let indirect = 0;
  operands.forEach((operand, index) => {
    if (typeof operand === 'object' && (operand.kind === 'region' || operand.kind === 'place')) indirect |= 1 << index;
    writeWord(view, at + OFFSETS.arguments + 8 * index, argumentValue(operand, area));
  });
  view.setUint8(at + OFFSETS.indirect, indirect);
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
  accept.forEach((errno, index) => {
    view.setUint16(at + OFFSETS.accept + 2 * index, ERRNO[errno], true);
  });
}
