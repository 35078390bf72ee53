import { CALLS, type Arch } from './calls.ts';
import type { Block, CallStep, Operand, Step } from './step.ts';

/**
 * Flags of open(2) that x86-64 and arm64 number differently: x86-64 value -> arm64 value.
 * Source: include/uapi/asm-generic/fcntl.h; arch/arm64/include/uapi/asm/fcntl.h.
 */
const ARM64_FLAGS: readonly (readonly [bigint, bigint])[] = [
  [0o40000n, 0o200000n], // O_DIRECT
  [0o100000n, 0o400000n], // O_LARGEFILE
  [0o200000n, 0o40000n], // O_DIRECTORY
  [0o400000n, 0o100000n], // O_NOFOLLOW
];
/** The same four bits on either architecture, in another order. */
const MOVED_BITS = ARM64_FLAGS.reduce((bits, [from]) => bits | from, 0n);

/** The operand of openat2(2) that points to struct open_how, whose first word has the flags. */
const OPEN_HOW_OPERAND = 2;

/** The steps as an architecture wants them: plans write the O_ flags of x86-64. */
export function translateSteps(steps: readonly Step[], arch: Arch): readonly Step[] {
  if (arch === 'x86-64') return steps;
  const hows = new Map<Block, Block>();
  return steps.map((step) => (step.kind === 'call' ? translateCall(step, hows) : step));
}

function translateCall(step: CallStep, hows: Map<Block, Block>): CallStep {
  const { parameters } = CALLS[step.call];
  const operands = step.operands.map((operand, index): Operand => {
    if (step.call === 'openat2' && index === OPEN_HOW_OPERAND) return translateHow(operand, hows);
    if (parameters[index]?.kind !== 'flags:O_' || typeof operand === 'object' || typeof operand === 'string')
      return operand;
    return translateFlags(BigInt(operand));
  });
  return { ...step, operands };
}

/** One block stays one block, so that it is still placed once. */
function translateHow(operand: Operand, hows: Map<Block, Block>): Operand {
  if (typeof operand !== 'object' || operand.kind !== 'block') return operand;
  const known = hows.get(operand);
  if (known !== undefined) return known;
  const bytes = operand.bytes.slice();
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, translateFlags(view.getBigUint64(0, true)), true);
  const how = { ...operand, bytes };
  hows.set(operand, how);
  return how;
}

/** x86-64 flags of open(2) -> arm64 flags. */
export function translateFlags(flags: bigint): bigint {
  return ARM64_FLAGS.reduce((all, [from, to]) => ((flags & from) === 0n ? all : all | to), flags & ~MOVED_BITS);
}

/** arm64 flags of open(2) -> x86-64 flags. */
export function restoreFlags(flags: bigint): bigint {
  return ARM64_FLAGS.reduce((all, [to, from]) => ((flags & from) === 0n ? all : all | to), flags & ~MOVED_BITS);
}
