/**
 * Classic BPF that goes in front of a filter and answers ENOSYS to system calls that did not exist when its profile was written.
 *
 * struct sock_filter is 8 bytes: u16 code, u8 jump if true, u8 jump if false, u32 operand; little endian here. Source:
 * include/uapi/linux/{filter,seccomp,audit}.h.
 */

/** The highest number of a call that the profile knows, for an architecture as libseccomp numbers them. */
export interface LastCall {
  /** SCMP_ARCH_*: AUDIT_ARCH_* of the architecture, but for x32. */
  readonly token: number;
  readonly number: number;
}

const LD_ABS = 0x20;
const JEQ = 0x15;
const JGT = 0x25;
const JGE = 0x35;
const JA = 0x05;
const RET = 0x06;

const OFFSET_NUMBER = 0;
const OFFSET_ARCH = 4;
const RET_ENOSYS = 0x0005_0000 + 38;

const TOKEN_X86_64 = 0xc000_003e;
const TOKEN_X32 = 0x4000_003e;
/** x32 calls are those of x86-64 with this bit. */
const X32_BIT = 0x4000_0000;

/** The size of struct sock_filter. */
export const INSTRUCTION_SIZE = 8;
/** BPF_MAXINSNS: what seccomp(2) takes. */
export const INSTRUCTIONS_MAX = 4096;

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, operand: number];
/** A jump to the profile's own filter, whose distance is known in the end. */
const GO_ON: Instruction = [JA, 0, 0, -1];

/** Puts the answer for new calls in front of a filter; the filter alone when there is nothing to answer. */
export function prependEnosys(filter: Uint8Array, lastCalls: readonly LastCall[]): Uint8Array {
  const sections = sectionsOf(lastCalls);
  if (sections.length === 0) return filter;
  const stub: Instruction[] = [[LD_ABS, 0, 0, OFFSET_ARCH]];
  for (const { arch, body } of sections) stub.push([JEQ, 0, body.length, arch], ...body);
  const bytes = new Uint8Array(stub.length * INSTRUCTION_SIZE + filter.length);
  const view = new DataView(bytes.buffer);
  stub.forEach((instruction, index) => {
    const [code, jumpTrue, jumpFalse, operand] = instruction;
    view.setUint16(index * INSTRUCTION_SIZE, code, true);
    view.setUint8(index * INSTRUCTION_SIZE + 2, jumpTrue);
    view.setUint8(index * INSTRUCTION_SIZE + 3, jumpFalse);
    view.setUint32(index * INSTRUCTION_SIZE + 4, instruction === GO_ON ? stub.length - index - 1 : operand, true);
  });
  bytes.set(filter, stub.length * INSTRUCTION_SIZE);
  return bytes;
}

interface Section {
  /** AUDIT_ARCH_*. */
  readonly arch: number;
  /** Ends in a return or a jump on every way through it. */
  readonly body: readonly Instruction[];
}

function sectionsOf(lastCalls: readonly LastCall[]): Section[] {
  const last = new Map(lastCalls.map(({ token, number }) => [token, number]));
  const sections: Section[] = [];
  for (const [token, number] of last) {
    if (token === TOKEN_X32 || token === TOKEN_X86_64) continue;
    sections.push({ arch: token, body: [[LD_ABS, 0, 0, OFFSET_NUMBER], ...refuseAbove(number)] });
  }
  const native = last.get(TOKEN_X86_64);
  const x32 = last.get(TOKEN_X32);
  if (native !== undefined || x32 !== undefined) sections.unshift(x86Section(native, x32));
  return sections;
}

/** x86-64 and x32 are one architecture to the kernel. Calls of the one that the profile does not have are the filter's business. */
function x86Section(native: number | undefined, x32: number | undefined): Section {
  const below = refuseAbove(native);
  return {
    arch: TOKEN_X86_64,
    body: [[LD_ABS, 0, 0, OFFSET_NUMBER], [JGE, below.length, 0, X32_BIT], ...below, ...refuseAbove(x32)],
  };
}

function refuseAbove(number: number | undefined): Instruction[] {
  if (number === undefined) return [GO_ON];
  return [[JGT, 0, 1, number], [RET, 0, 0, RET_ENOSYS], GO_ON];
}
