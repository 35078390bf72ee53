import type { ModelMemory } from './memory.ts';
import type { ModelState } from './state.ts';

/** How a call of the model works: the result, nothing for 0, or a thrown ModelErrno or MemoryFault. */
export type CallModel = (kernel: ModelState, args: CallArguments, memory: ModelMemory) => number | undefined;

/** The arguments of a call in the forms that the kernel takes them in. */
export class CallArguments {
  readonly #values: readonly bigint[];

  constructor(values: readonly bigint[]) {
    this.#values = values;
  }

  /** All 64 bits, unsigned. */
  raw(index: number): bigint {
    return this.#values[index] ?? 0n;
  }

  /** An int: the lower 32 bits, signed. */
  int(index: number): number {
    return Number(BigInt.asIntN(32, this.raw(index)));
  }
}
