/**
 * The machine on which the interpreter is written: a dozen instructions that x86-64 and arm64 both express directly.
 * Each architecture implements `Machine`; this file holds what they share: the bytes, the labels and the fix-ups.
 */

/**
 * The registers. `operation` survives everything. A system call takes `number` and `a0` to `a5`, and leaves `result`; it
 * may destroy `number`, `a0`, `s0`, but no other. `result` may be the same register as `number` or as `a0`.
 */
export type Register = 'operation' | 'number' | 'result' | 'a0' | 'a1' | 'a2' | 'a3' | 'a4' | 'a5' | 's0';

/** The instructions. All arithmetic has 64 bits; offsets and shifts are in the range that both architectures encode. */
export interface Machine {
  /** Gives the next instruction a name. */
  label(name: string): void;
  /** register = value, from -65536 to 2^31 - 1. */
  set(register: Register, value: number): void;
  /** register = other. */
  move(register: Register, other: Register): void;
  /** register = `size` bytes at base + offset, zero-extended; offset from 0 to 127, a multiple of `size`. */
  load(register: Register, base: Register, offset: number, size: 1 | 2 | 4 | 8): void;
  /** 8 bytes at base + offset = register; offset from 0 to 127, a multiple of 8. */
  store(register: Register, base: Register, offset: number): void;
  /** The byte at base = the lowest byte of the register. */
  storeByte(register: Register, base: Register): void;
  /** register = the stack pointer, which at the entry of a program leads to its arguments. */
  stackPointer(register: Register): void;
  /** register = where the label lies in memory, within 1 MiB of here. */
  address(register: Register, label: string): void;
  /** register += other. */
  add(register: Register, other: Register): void;
  /** register -= other. */
  subtract(register: Register, other: Register): void;
  /** register += constant, from 0 to 127. */
  addConstant(register: Register, constant: number): void;
  /** register &= other. */
  and(register: Register, other: Register): void;
  /** register <<= bits, from 1 to 63. */
  shiftLeft(register: Register, bits: number): void;
  /** register >>= bits, from 1 to 63; zeros come from above. */
  shiftRight(register: Register, bits: number): void;
  /** result = the system call `number` with the arguments a0 to a5. */
  systemCall(): void;
  /** An instruction that is none: the process ends with SIGILL. */
  trap(): void;
  jump(label: string): void;
  jumpIfZero(register: Register, label: string): void;
  jumpIfEqual(register: Register, other: Register, label: string): void;
  /** Unsigned register < other. */
  jumpIfBelow(register: Register, other: Register, label: string): void;
  /** Bit 0 to 63 is set. */
  jumpIfBit(register: Register, bit: number, label: string): void;
  /** Bit 0 to 63 is clear. */
  jumpUnlessBit(register: Register, bit: number, label: string): void;
  /** Bytes that are no instructions. Whatever follows is data as well: nothing keeps it aligned. */
  data(bytes: Uint8Array): void;
  /** The machine code. Throws a RangeError for a label that nobody placed. */
  assemble(): Uint8Array;
}

interface FixUp {
  readonly at: number;
  readonly label: string;
  readonly patch: (code: DataView, at: number, target: number) => void;
}

/** The bytes of a listing, with jumps to labels that are placed later. */
export class Code {
  readonly #bytes: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #fixUps: FixUp[] = [];

  /** Appends bytes. */
  bytes(...bytes: readonly number[]): void {
    this.#bytes.push(...bytes);
  }

  /** Appends a 32-bit number, little endian. */
  word(value: number): void {
    this.#bytes.push(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
  }

  /** Gives the current offset a name. */
  label(name: string): void {
    if (this.#labels.has(name)) throw new RangeError(`bug: the label ${JSON.stringify(name)} is placed twice`);
    this.#labels.set(name, this.#bytes.length);
  }

  /** Appends a 32-bit word that `patch` completes once the label's offset is known. */
  reference(label: string, word: number, patch: FixUp['patch']): void {
    this.#fixUps.push({ at: this.#bytes.length, label, patch });
    this.word(word);
  }

  /** The bytes with every reference completed. Throws a RangeError for a label that nobody placed. */
  assemble(): Uint8Array {
    const code = Uint8Array.from(this.#bytes);
    const view = new DataView(code.buffer);
    for (const { at, label, patch } of this.#fixUps) {
      const target = this.#labels.get(label);
      if (target === undefined) throw new RangeError(`bug: the label ${JSON.stringify(label)} is not placed`);
      patch(view, at, target);
    }
    return code;
  }
}
