import { Code, type Machine, type Register } from '../assembler.ts';

/** Register numbers. The system call destroys x0 and keeps all the others. */
const REGISTERS: Record<Register, number> = {
  a0: 0,
  result: 0,
  a1: 1,
  a2: 2,
  a3: 3,
  a4: 4,
  a5: 5,
  number: 8,
  s0: 9,
  operation: 19,
};

/** Register 31 is one or the other, as the instruction says. */
const XZR = 31;
const SP = 31;
const CONDITION_EQUAL = 0;
const CONDITION_LOWER = 3;

/**
 * A64 machine code.
 * Source: Arm Architecture Reference Manual for A-profile, chapter C6.
 */
export class Arm64 implements Machine {
  readonly #code = new Code();

  label(name: string): void {
    this.#code.label(name);
  }

  set(register: Register, value: number): void {
    const rd = REGISTERS[register];
    if (value < 0) {
      this.#code.word(0x9280_0000 | (~value << 5) | rd); // movn xd, #~value
      return;
    }
    this.#code.word(0xd280_0000 | ((value & 0xffff) << 5) | rd); // movz xd, #low
    const high = value >>> 16;
    if (high !== 0) this.#code.word(0xf2a0_0000 | (high << 5) | rd); // movk xd, #high, lsl 16
  }

  move(register: Register, other: Register): void {
    this.#registers(0xaa00_0000, register, XZR, other); // orr xd, xzr, xm
  }

  load(register: Register, base: Register, offset: number, size: 1 | 2 | 4 | 8): void {
    const opcode = {
      1: 0x3940_0000, // ldrb wt, [xn, #offset]
      2: 0x7940_0000, // ldrh wt, [xn, #offset]
      4: 0xb940_0000, // ldr wt, [xn, #offset]
      8: 0xf940_0000, // ldr xt, [xn, #offset]
    }[size];
    this.#code.word(opcode | ((offset / size) << 10) | (REGISTERS[base] << 5) | REGISTERS[register]);
  }

  store(register: Register, base: Register, offset: number): void {
    // str xt, [xn, #offset]
    this.#code.word(0xf900_0000 | ((offset / 8) << 10) | (REGISTERS[base] << 5) | REGISTERS[register]);
  }

  storeByte(register: Register, base: Register): void {
    this.#code.word(0x3900_0000 | (REGISTERS[base] << 5) | REGISTERS[register]); // strb wt, [xn]
  }

  stackPointer(register: Register): void {
    this.#code.word(0x9100_0000 | (SP << 5) | REGISTERS[register]); // mov xd, sp, which is add xd, sp, #0
  }

  address(register: Register, label: string): void {
    // adr xd, label
    this.#code.reference(label, 0x1000_0000 | REGISTERS[register], (code, at, target) => {
      const distance = target - at;
      const fields = ((distance & 3) << 29) | (((distance >> 2) & 0x7_ffff) << 5);
      code.setUint32(at, code.getUint32(at, true) | fields, true);
    });
  }

  add(register: Register, other: Register): void {
    this.#registers(0x8b00_0000, register, REGISTERS[register], other); // add xd, xn, xm
  }

  subtract(register: Register, other: Register): void {
    this.#registers(0xcb00_0000, register, REGISTERS[register], other); // sub xd, xn, xm
  }

  addConstant(register: Register, constant: number): void {
    this.#code.word(0x9100_0000 | (constant << 10) | (REGISTERS[register] << 5) | REGISTERS[register]); // add xd, xn, #c
  }

  and(register: Register, other: Register): void {
    this.#registers(0x8a00_0000, register, REGISTERS[register], other); // and xd, xn, xm
  }

  shiftLeft(register: Register, bits: number): void {
    // lsl xd, xn, #bits, which is ubfm xd, xn, #(64 - bits), #(63 - bits)
    const fields = ((64 - bits) << 16) | ((63 - bits) << 10);
    this.#code.word(0xd340_0000 | fields | (REGISTERS[register] << 5) | REGISTERS[register]);
  }

  shiftRight(register: Register, bits: number): void {
    // lsr xd, xn, #bits, which is ubfm xd, xn, #bits, #63
    this.#code.word(0xd340_fc00 | (bits << 16) | (REGISTERS[register] << 5) | REGISTERS[register]);
  }

  systemCall(): void {
    this.#code.word(0xd400_0001); // svc #0
  }

  trap(): void {
    this.#code.word(0); // udf #0
  }

  jump(label: string): void {
    this.#branch(0x1400_0000, { label, bits: 26, shift: 0 }); // b
  }

  jumpIfZero(register: Register, label: string): void {
    this.#branch(0xb400_0000 | REGISTERS[register], { label, bits: 19, shift: 5 }); // cbz xt
  }

  jumpIfEqual(register: Register, other: Register, label: string): void {
    this.#compare(register, other);
    this.#branch(0x5400_0000 | CONDITION_EQUAL, { label, bits: 19, shift: 5 }); // b.eq
  }

  jumpIfBelow(register: Register, other: Register, label: string): void {
    this.#compare(register, other);
    this.#branch(0x5400_0000 | CONDITION_LOWER, { label, bits: 19, shift: 5 }); // b.lo
  }

  jumpIfBit(register: Register, bit: number, label: string): void {
    this.#testBit(0x3700_0000, register, bit, label); // tbnz xt, #bit
  }

  jumpUnlessBit(register: Register, bit: number, label: string): void {
    this.#testBit(0x3600_0000, register, bit, label); // tbz xt, #bit
  }

  data(bytes: Uint8Array): void {
    this.#code.bytes(...bytes);
  }

  assemble(): Uint8Array {
    return this.#code.assemble();
  }

  #compare(register: Register, other: Register): void {
    // cmp xn, xm, which is subs xzr, xn, xm
    this.#code.word(0xeb00_001f | (REGISTERS[other] << 16) | (REGISTERS[register] << 5));
  }

  #testBit(opcode: number, register: Register, bit: number, label: string): void {
    const position = ((bit >> 5) << 31) | ((bit & 31) << 19);
    this.#branch(opcode | position | REGISTERS[register], { label, bits: 14, shift: 5 });
  }

  #registers(opcode: number, destination: Register, first: number, second: Register): void {
    this.#code.word(opcode | (REGISTERS[second] << 16) | (first << 5) | REGISTERS[destination]);
  }

  /** A branch whose distance, in instructions, is a signed field of the word. */
  #branch(word: number, { label, bits, shift }: { label: string; bits: number; shift: number }): void {
    this.#code.reference(label, word, (code, at, target) => {
      const distance = ((target - at) / 4) & ((1 << bits) - 1);
      code.setUint32(at, code.getUint32(at, true) | (distance << shift), true);
    });
  }
}
