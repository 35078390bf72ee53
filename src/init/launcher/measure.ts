import type { Machine, Register } from '../assembler.ts';
import type { Launcher } from './parts.ts';
import { OWN, WORDS } from './places.ts';

/**
 * Keeps where the environment starts, where the strings of arguments and environment end, and where the auxiliary vector starts. Leaves
 * `operation` at the number of arguments. Source: fs/binfmt_elf.c, create_elf_tables.
 */
export function writeMeasure({ machine }: Launcher): void {
  machine.stackPointer('operation');
  machine.move('a5', 'operation');
  machine.addConstant('a5', 8);
  machine.set('a4', 0);
  writePass(machine, 'arguments', { at: 'a5', size: 8, last: 'a4' });
  machine.set('a3', OWN);
  machine.store('a5', 'a3', WORDS.environment);
  writePass(machine, 'variables', { at: 'a5', size: 8, last: 'a4' });
  machine.store('a5', 'a3', WORDS.auxiliary);
  machine.jumpIfZero('a4', 'measured');
  // The kernel lays the strings one behind the other, in their order.
  writePass(machine, 'last string', { at: 'a4', size: 1 });
  machine.store('a4', 'a3', WORDS.stringsEnd);
  machine.label('measured');
}

interface Pass {
  readonly at: Register;
  readonly size: 1 | 8;
  /** Gets the last item before the zero; it stays as it is where there is none. */
  readonly last?: Register;
}

/** Moves a register behind the zero that ends the items at which it points. `part` makes the labels its own. */
function writePass(machine: Machine, part: string, { at, size, last }: Pass): void {
  machine.label(`pass ${part}`);
  machine.load('s0', at, 0, size);
  machine.addConstant(at, size);
  machine.jumpIfZero('s0', `${part} end`);
  if (last !== undefined) machine.move(last, 's0');
  machine.jump(`pass ${part}`);
  machine.label(`${part} end`);
}
