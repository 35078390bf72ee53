import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine, Register } from '../../../src/init/assembler.ts';

export const REGISTERS: readonly Register[] = [
  'operation',
  'number',
  'result',
  'a0',
  'a1',
  'a2',
  'a3',
  'a4',
  'a5',
  's0',
];

/** Every form of every instruction that interpreter and launcher may use. */
export function writeEverything(machine: Machine): void {
  machine.label('start');
  for (const register of REGISTERS) {
    machine.set(register, 0x1234_5678);
    machine.set(register, -4095);
    machine.move(register, 's0');
    for (const size of [1, 2, 4, 8] as const) machine.load(register, register, 56, size);
    machine.store('a3', register, 120);
    machine.storeByte(register, 'a3');
    machine.storeByte('a1', register);
    machine.stackPointer(register);
    machine.address(register, 'end');
    machine.subtract('operation', register);
    machine.shiftRight(register, 4);
    machine.add('operation', register);
    machine.addConstant(register, 127);
    machine.and(register, 'a5');
    machine.shiftLeft(register, 6);
    machine.jumpIfZero(register, 'start');
    machine.jumpIfEqual(register, 'a4', 'end');
    machine.jumpIfBelow(register, 'a4', 'start');
    machine.jumpIfBit(register, 63, 'end');
    machine.jumpUnlessBit(register, 5, 'start');
  }
  machine.systemCall();
  machine.trap();
  machine.jump('start');
  machine.label('end');
}

/** What a disassembler makes of code: a line an instruction, without addresses, bytes and comments. */
export function disassemble(
  code: Uint8Array,
  { tool, machine, directory }: { tool: string; machine: string; directory: string },
): string[] {
  const file = join(directory, 'code');
  writeFileSync(file, code);
  const text = execFileSync(tool, ['-D', '-b', 'binary', '-m', machine, file], { encoding: 'utf8' });
  return [...text.matchAll(/^ +[0-9a-f]+:\t[0-9a-f ]+\t(.*)$/gm)].map(([, line = '']) =>
    line
      .replace(/\/\/.*/, '')
      .replace(/\s+/g, ' ')
      .trim(),
  );
}

export function reasonToSkip(tool: string): string | false {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined ? false : `${tool} is not installed`;
}
