import type { ModelFile } from './files.ts';
import type { ModelKernel } from './kernel.ts';
import type { ModelMemory } from './memory.ts';

/** What a descriptor refers to. */
export interface OpenFile {
  readonly kind: 'sync' | 'file' | 'filesystem' | 'other';
  /** Of a `file`: what was opened, or the root of a mount that is not attached. */
  readonly file?: ModelFile;
  /** Flags of open(2), x86-64. */
  readonly flags: number;
  /** Type of file system, where fsopen(2) or fsmount(2) made the descriptor. */
  readonly type?: string;
}

/** How a call of the model works: the result, nothing for 0, or a thrown ModelErrno or MemoryFault. */
export type CallModel = (kernel: ModelKernel, args: CallArguments, memory: ModelMemory) => number | undefined;

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

/** RLIMIT_NOFILE of the model. */
export const DESCRIPTOR_LIMIT = 1024;
