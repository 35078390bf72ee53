import type { Arch } from '../program/calls.ts';
import { unreachable } from '../util/unreachable.ts';
import { Arm64 } from './arch/arm64.ts';
import { X86 } from './arch/x86-64.ts';
import type { Machine } from './assembler.ts';
import { writeElf } from './elf.ts';
import { writeInterpreter, type InterpreterOptions } from './interpreter.ts';

/**
 * The init process: a static ELF64 executable of less than 1.5 KiB that executes the programs it reads from `syncFd`.
 * The same options give the same bytes.
 */
export function emitInit(options: InterpreterOptions): Uint8Array {
  const machine = createMachine(options.arch);
  writeInterpreter(machine, options);
  return writeElf(machine.assemble(), options.arch);
}

/** The machine of an architecture. */
export function createMachine(arch: Arch): Machine {
  switch (arch) {
    case 'x86-64':
      return new X86();
    case 'arm64':
      return new Arm64();
    default:
      return unreachable(arch);
  }
}
