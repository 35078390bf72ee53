import type { CompiledSeccomp } from '../../plan/seccomp/load.ts';
import type { Phase } from '../../plan/base/phases.ts';
import type { ExchangeName } from '../../plan/base/exchanges.ts';
import type { Arch } from '../../program/calls.ts';
import { encode } from '../../program/encode.ts';
import type { EncodedProgram, Packet, Program, ReplyForm, Step } from '../../program/step.ts';
import { inTurn } from '../../sys/events/turn-queue.ts';

/** The init that the packets are for. */
export type Receiver = Pick<EncodedProgram, 'arch' | 'syncFd'>;

/** The packets of each phase. */
export function encodePhases(
  phases: readonly Phase[],
  receiver: { readonly arch: Arch; readonly syncFd: number },
): Packet[][] {
  return phases.map(({ program }) => encode(program, receiver));
}

/** Whether packets have no more bytes together. */
export function isSmall(phases: readonly (readonly Packet[])[], bytesMax: number): boolean {
  const size = phases.flat().reduce((sum, { bytes }) => sum + bytes.length, 0);
  return size <= bytesMax;
}

/** A turn of the event loop for each of the pieces in which something is made that nobody waits for. */
export function turn(): Promise<void> {
  return new Promise(inTurn);
}

/** Whether both are the same filter, or none. */
export function isSameFilter(one: CompiledSeccomp | undefined, other: CompiledSeccomp | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.position === other.position && isEqual(one.program, other.program);
}

/** Whether both are the same bytes. */
export function isEqual(one: Uint8Array, other: Uint8Array | undefined): boolean {
  return other !== undefined && Buffer.compare(one, other) === 0;
}

/** JSON of anything that a plan is made from. */
export function keyText(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? `${each}` : each));
}

/** Phases without their steps, which are most of what a plan takes in memory. */
export function withoutSteps<At extends ExchangeName>(phases: readonly Phase<At>[]): Phase<At>[] {
  return phases.map(({ exchange, program: { name, replies, reply } }) => ({
    exchange,
    program: { name, replies, steps: [], ...(reply !== undefined && { reply }) },
  }));
}

/** Phases whose packets are known, by their index; `plan` makes the whole again when somebody looks at the steps of one. */
export function knownPhases<At extends ExchangeName>(
  phases: readonly Phase<At>[],
  {
    receiver,
    packets,
    plan,
  }: { receiver: Receiver; packets: (index: number) => readonly Packet[]; plan: () => readonly Phase[] },
): Phase<At>[] {
  let planned: readonly Phase[] | undefined;
  return phases.map(({ program, exchange }, index) => {
    const steps = (): readonly Step[] => (planned ??= plan())[index]?.program.steps ?? [];
    return { exchange, program: new KnownProgram(program, { ...receiver, packets: packets(index) }, steps) };
  });
}

/** A program whose bytes are known, and its steps planned when somebody looks. */
class KnownProgram implements Program {
  readonly name: string;
  readonly replies: boolean;
  readonly reply?: ReplyForm;
  readonly encoded: EncodedProgram;
  readonly #plan: () => readonly Step[];

  constructor({ name, replies, reply }: Program, encoded: EncodedProgram, plan: () => readonly Step[]) {
    this.name = name;
    this.replies = replies;
    if (reply !== undefined) this.reply = reply;
    this.encoded = encoded;
    this.#plan = plan;
  }

  get steps(): readonly Step[] {
    return this.#plan();
  }
}
