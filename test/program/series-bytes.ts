import { call, wordBlock } from '../../src/program/build.ts';
import type { Arch } from '../../src/program/calls.ts';
import { AreaFull } from '../../src/program/data-area.ts';
import { encodeOperations } from '../../src/program/encode-operations.ts';
import { encode } from '../../src/program/encode.ts';
import { LAYOUT, TAG_MORE } from '../../src/program/layout.ts';
import { translateSteps } from '../../src/program/open-flags.ts';
import type { Operand, Program, Step } from '../../src/program/step.ts';

const SYNC = 3;
const MORE = call('write', [SYNC, wordBlock([TAG_MORE], '{tag=more}'), 8], { label: 'ask for more' });

/**
 * In what the packets of a program with series are not those of all its steps one by one: which packets, or the steps that none or
 * two of them have. Empty as it should be.
 */
export function differences(program: Program, arch: Arch): string[] {
  const known = new Map<string, Operand>();
  const steps = translateSteps(program.steps, arch);
  const sharing = translateSteps(
    program.steps.map((step) => withSameBlocks(step, known)),
    arch,
  );
  const packets = encode(program, { arch, syncFd: SYNC });
  const sent = packets.flatMap((packet) => packet.steps.filter((index) => index >= 0));
  const problems = sent.flatMap((step, index) => (step === index ? [] : [`step ${step} is the ${index}th`]));
  if (sent.length !== steps.length) problems.push(`${sent.length} steps are sent of ${steps.length}`);
  packets.forEach((packet, index) => {
    const matches = [steps, sharing].some((all) => {
      const own = packet.steps.map((step): Step => (step < 0 ? MORE : (all[step] ?? MORE)));
      return isEncodingOf(packet.bytes, own, { arch, mark: index });
    });
    if (!matches) problems.push(`packet ${index} differs`);
  });
  return problems;
}

function isEncodingOf(bytes: Uint8Array, steps: readonly Step[], options: { arch: Arch; mark: number }): boolean {
  try {
    const base = LAYOUT.message.address;
    return Buffer.compare(bytes, encodeOperations(steps, { ...options, base, bulk: undefined })) === 0;
  } catch (error) {
    if (error instanceof AreaFull) return false;
    throw error;
  }
}

/** A series has a structure once that its steps one by one have each for themselves. */
function withSameBlocks(step: Step, known: Map<string, Operand>): Step {
  if (step.kind === 'check') return step;
  const operands = step.operands.map((operand) => {
    if (typeof operand !== 'object' || operand.kind !== 'block' || operand.links.length > 0) return operand;
    const key = Buffer.from(operand.bytes).toString('hex');
    if (!known.has(key)) known.set(key, operand);
    return known.get(key) ?? operand;
  });
  return { ...step, operands };
}
