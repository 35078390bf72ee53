import { TsrunError } from '../../errors.ts';
import { readText } from '../bytes.ts';
import { CALLS, type Arch, type ArgumentKind, type CallName, type KindByName, type Parameter } from '../calls.ts';
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
} from '../layout.ts';

/** An operation as it lies in a packet. */
export interface DecodedOperation {
  /** Where init executes it. */
  readonly address: number;
  /** The number of the system call on this architecture, or CHECK_NUMBER. */
  readonly number: number;
  /** Its name, where calls.ts has one. */
  readonly call: CallName | 'check' | undefined;
  /** All six; those behind the call's own are zero. */
  readonly arguments: readonly DecodedArgument[];
  /** Address of the result, 0 when it is dropped. */
  readonly result: number;
  /** Accepted errnos, numbers, without unused slots. */
  readonly accept: readonly number[];
  readonly acceptAny: boolean;
  /** Of a check: it holds when the values differ. */
  readonly invert: boolean;
}

/** An argument as its packet has it: the value itself, or where init loads the value from. */
export interface DecodedArgument {
  /** From 0 to 2^64 - 1; the address of the value when `indirect`. */
  readonly value: bigint;
  readonly indirect: boolean;
  /** The text that the argument points to, when the call takes text there and the packet has it. */
  readonly text?: string;
}

/**
 * The operations of a packet, for dumps and tests. Any bytes are accepted: what is no packet throws a TsrunError `init`.
 * A payload is not a packet.
 */
export function decode(bytes: Uint8Array, arch: Arch): DecodedOperation[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = readEnd(view);
  const operations: DecodedOperation[] = [];
  for (let at = PACKET_HEADER_SIZE; at < end; at += OPERATION_SIZE) operations.push(decodeOperation(view, at, arch));
  return operations;
}

/** The offset behind the last operation. */
function readEnd(view: DataView): number {
  const size = view.byteLength;
  if (size < PACKET_HEADER_SIZE || size > LAYOUT.message.size)
    throw invalid(`${size} bytes found, ${PACKET_HEADER_SIZE} to ${LAYOUT.message.size} wanted`);
  const version = view.getUint32(OFFSETS.version, true);
  if (version !== FORMAT_VERSION) throw invalid(`version ${version} found, ${FORMAT_VERSION} wanted`);
  const end = Number(view.getBigUint64(OFFSETS.end, true)) - LAYOUT.message.address;
  if (end < PACKET_HEADER_SIZE || end > size || (end - PACKET_HEADER_SIZE) % OPERATION_SIZE !== 0)
    throw invalid(`the operations end at ${end} of ${size} bytes`);
  return end;
}

function invalid(reason: string): TsrunError {
  return new TsrunError('init', `decode packet: ${reason}`);
}

function decodeOperation(view: DataView, at: number, arch: Arch): DecodedOperation {
  const number = view.getUint16(at + OFFSETS.number, true);
  const flags = view.getUint8(at + OFFSETS.flags);
  const call = number === CHECK_NUMBER ? 'check' : callName(number, arch);
  const parameters: readonly Parameter[] = call === undefined || call === 'check' ? [] : CALLS[call].parameters;
  const accept = Array.from({ length: ACCEPT_SLOTS }, (_, slot) =>
    view.getUint16(at + OFFSETS.accept + 2 * slot, true),
  );
  return {
    address: LAYOUT.message.address + at,
    number,
    call,
    arguments: Array.from({ length: ARGUMENT_COUNT }, (_, index) =>
      decodeArgument(view, at, { index, kind: parameters[index]?.kind }),
    ),
    result: view.getUint32(at + OFFSETS.result, true),
    accept: accept.filter((errno) => errno !== 0),
    acceptAny: (flags & FLAG_ACCEPT_ANY) !== 0,
    invert: (flags & FLAG_INVERT) !== 0,
  };
}

/** The name of a system call; undefined for one that programs do not use. */
export function callName(number: number, arch: Arch): CallName | undefined {
  return NAMES[arch].get(number);
}

const NAMES: Record<Arch, ReadonlyMap<number, CallName>> = { 'x86-64': namesOf('x86-64'), arm64: namesOf('arm64') };

function namesOf(arch: Arch): Map<number, CallName> {
  return new Map((Object.keys(CALLS) as CallName[]).map((name) => [CALLS[name][arch], name]));
}

function decodeArgument(
  view: DataView,
  at: number,
  { index, kind }: { index: number; kind: ArgumentKind | KindByName | undefined },
): DecodedArgument {
  const value = view.getBigUint64(at + OFFSETS.arguments + 8 * index, true);
  const indirect = (view.getUint8(at + OFFSETS.indirect) & (1 << index)) !== 0;
  const text = kind === 'text' && !indirect ? textAt(view, value) : undefined;
  return { value, indirect, ...(text === undefined ? {} : { text }) };
}

/** The text at an absolute address; undefined when it is outside the packet, has no end or is not UTF-8. */
function textAt(view: DataView, address: bigint): string | undefined {
  const start = Number(address) - LAYOUT.message.address;
  if (start < PACKET_HEADER_SIZE || start >= view.byteLength) return undefined;
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const end = bytes.indexOf(0, start);
  return end < 0 ? undefined : readText(bytes.subarray(start, end));
}
