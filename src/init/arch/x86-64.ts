import { Code, type Machine, type Register } from '../assembler.ts';

/**
 * Register numbers of the instruction encoding. The system call destroys rcx (s0) and r11, and keeps all the others.
 * None of these is rsp, rbp, r12 or r13, which have special forms as a base.
 */
const REGISTERS: Record<Register, number> = {
  number: 0, // rax
  result: 0, // rax
  s0: 1, // rcx
  a2: 2, // rdx
  operation: 3, // rbx
  a1: 6, // rsi
  a0: 7, // rdi
  a4: 8, // r8
  a5: 9, // r9
  a3: 10, // r10
};

const RSP = 4;

const REX_NONE = 0x40;
const REX_W = 0x48;
const JUMP_IF_BELOW = 0x82;
const JUMP_UNLESS_BELOW = 0x83;
const JUMP_IF_EQUAL = 0x84;

/**
 * x86-64 machine code. Every jump has a 32-bit displacement: the image has room, and one form needs no relaxation.
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2.
 */
export class X86 implements Machine {
  readonly #code = new Code();

  label(name: string): void {
    this.#code.label(name);
  }

  set(register: Register, value: number): void {
    this.#form(REX_W, [0xc7], 0, REGISTERS[register]); // mov r/m64, imm32 (sign-extended)
    this.#code.word(value);
  }

  move(register: Register, other: Register): void {
    this.#form(REX_W, [0x89], REGISTERS[other], REGISTERS[register]); // mov r/m64, r64
  }

  load(register: Register, base: Register, offset: number, size: 1 | 2 | 4 | 8): void {
    const [rex, opcode] = {
      1: [REX_NONE, [0x0f, 0xb6]] as const, // movzx r32, r/m8
      2: [REX_NONE, [0x0f, 0xb7]] as const, // movzx r32, r/m16
      4: [REX_NONE, [0x8b]] as const, // mov r32, r/m32
      8: [REX_W, [0x8b]] as const, // mov r64, r/m64
    }[size];
    this.#form(rex, opcode, REGISTERS[register], REGISTERS[base], offset);
  }

  store(register: Register, base: Register, offset: number): void {
    this.#form(REX_W, [0x89], REGISTERS[register], REGISTERS[base], offset); // mov r/m64, r64
  }

  storeByte(register: Register, base: Register): void {
    const [reg, rm] = [REGISTERS[register], REGISTERS[base]];
    // Without the prefix the numbers 4 to 7 would be ah to bh.
    this.#code.bytes(REX_NONE | ((reg >> 3) << 2) | (rm >> 3), 0x88, 0x40 | ((reg & 7) << 3) | (rm & 7), 0); // mov r/m8, r8
  }

  stackPointer(register: Register): void {
    this.#form(REX_W, [0x89], RSP, REGISTERS[register]); // mov r/m64, r64
  }

  address(register: Register, label: string): void {
    const reg = REGISTERS[register];
    this.#code.bytes(REX_W | ((reg >> 3) << 2), 0x8d, ((reg & 7) << 3) | 5); // lea r64, [rip + disp32]
    this.#displacement(label);
  }

  add(register: Register, other: Register): void {
    this.#form(REX_W, [0x01], REGISTERS[other], REGISTERS[register]); // add r/m64, r64
  }

  subtract(register: Register, other: Register): void {
    this.#form(REX_W, [0x29], REGISTERS[other], REGISTERS[register]); // sub r/m64, r64
  }

  addConstant(register: Register, constant: number): void {
    this.#form(REX_W, [0x83], 0, REGISTERS[register]); // add r/m64, imm8
    this.#code.bytes(constant);
  }

  and(register: Register, other: Register): void {
    this.#form(REX_W, [0x21], REGISTERS[other], REGISTERS[register]); // and r/m64, r64
  }

  shiftLeft(register: Register, bits: number): void {
    this.#form(REX_W, [0xc1], 4, REGISTERS[register]); // shl r/m64, imm8
    this.#code.bytes(bits);
  }

  shiftRight(register: Register, bits: number): void {
    this.#form(REX_W, [0xc1], 5, REGISTERS[register]); // shr r/m64, imm8
    this.#code.bytes(bits);
  }

  systemCall(): void {
    this.#code.bytes(0x0f, 0x05);
  }

  trap(): void {
    this.#code.bytes(0x0f, 0x0b); // ud2
  }

  jump(label: string): void {
    this.#code.bytes(0xe9);
    this.#displacement(label);
  }

  jumpIfZero(register: Register, label: string): void {
    this.#form(REX_W, [0x85], REGISTERS[register], REGISTERS[register]); // test r/m64, r64
    this.#jumpIf(JUMP_IF_EQUAL, label);
  }

  jumpIfEqual(register: Register, other: Register, label: string): void {
    this.#compare(register, other);
    this.#jumpIf(JUMP_IF_EQUAL, label);
  }

  jumpIfBelow(register: Register, other: Register, label: string): void {
    this.#compare(register, other);
    this.#jumpIf(JUMP_IF_BELOW, label);
  }

  jumpIfBit(register: Register, bit: number, label: string): void {
    this.#testBit(register, bit);
    this.#jumpIf(JUMP_IF_BELOW, label);
  }

  jumpUnlessBit(register: Register, bit: number, label: string): void {
    this.#testBit(register, bit);
    this.#jumpIf(JUMP_UNLESS_BELOW, label);
  }

  data(bytes: Uint8Array): void {
    this.#code.bytes(...bytes);
  }

  assemble(): Uint8Array {
    return this.#code.assemble();
  }

  #compare(register: Register, other: Register): void {
    this.#form(REX_W, [0x39], REGISTERS[other], REGISTERS[register]); // cmp r/m64, r64
  }

  /** Copies the bit into the carry flag, which is what "below" looks at. */
  #testBit(register: Register, bit: number): void {
    this.#form(REX_W, [0x0f, 0xba], 4, REGISTERS[register]); // bt r/m64, imm8
    this.#code.bytes(bit);
  }

  #jumpIf(condition: number, label: string): void {
    this.#code.bytes(0x0f, condition);
    this.#displacement(label);
  }

  #displacement(label: string): void {
    this.#code.reference(label, 0, (code, at, target) => {
      code.setInt32(at, target - (at + 4), true);
    });
  }

  /**
   * REX, opcode, ModRM: `reg` is a register or an extension of the opcode; `rm` is a register, or with an offset the
   * base of a memory operand with an 8-bit displacement.
   */
  #form(rex: number, opcode: readonly number[], reg: number, rm: number, offset?: number): void {
    const mode = offset === undefined ? 3 : 1;
    const prefix = rex | ((reg >> 3) << 2) | (rm >> 3);
    if (prefix !== REX_NONE) this.#code.bytes(prefix);
    this.#code.bytes(...opcode, (mode << 6) | ((reg & 7) << 3) | (rm & 7));
    if (offset !== undefined) this.#code.bytes(offset);
  }
}
