import t from 'tap';
import { X86 } from '../../../src/init/arch/x86-64.ts';
import { disassemble, reasonToSkip, REGISTERS, writeEverything } from './listing.ts';

const NAMES = {
  operation: 'bx',
  number: 'ax',
  result: 'ax',
  a0: 'di',
  a1: 'si',
  a2: 'dx',
  a3: '10',
  a4: '8',
  a5: '9',
  s0: 'cx',
};

const BYTES = {
  operation: 'bl',
  number: 'al',
  result: 'al',
  a0: 'dil',
  a1: 'sil',
  a2: 'dl',
  a3: 'r10b',
  a4: 'r8b',
  a5: 'r9b',
  s0: 'cl',
};

t.test('X86 assembles what objdump reads back', { skip: reasonToSkip('objdump') }, (t) => {
  const machine = new X86();
  writeEverything(machine);
  const lines = disassemble(machine.assemble(), { tool: 'objdump', machine: 'i386:x86-64', directory: t.testdir() });
  const expected = REGISTERS.flatMap((register) => {
    const name = NAMES[register];
    const r = `%r${name}`;
    const e = /\d/.test(name) ? `%r${name}d` : `%e${name}`;
    return [
      `mov $0x12345678,${r}`,
      `mov $0xfffffffffffff001,${r}`,
      `mov %rcx,${r}`,
      `movzbl 0x38(${r}),${e}`,
      `movzwl 0x38(${r}),${e}`,
      `mov 0x38(${r}),${e}`,
      `mov 0x38(${r}),${r}`,
      `mov %r10,0x78(${r})`,
      `mov %${BYTES[register]},0x0(%r10)`,
      `mov %sil,0x0(${r})`,
      `mov %rsp,${r}`,
      `lea END,${r}`,
      `sub ${r},%rbx`,
      `shr $0x4,${r}`,
      `add ${r},%rbx`,
      `add $0x7f,${r}`,
      `and %r9,${r}`,
      `shl $0x6,${r}`,
      ...[`test ${r},${r}`, 'je START', `cmp %r8,${r}`, 'je END', `cmp %r8,${r}`, 'jb START'],
      ...[`bt $0x3f,${r}`, 'jb END', `bt $0x5,${r}`, 'jae START'],
    ];
  });
  const end = `0x${machine.assemble().length.toString(16)}`;
  const shown = lines.map((line) =>
    line
      .replace(/^(j\w+) 0x0$/, '$1 START')
      .replace(` ${end}`, ' END')
      .replace(/0x[0-9a-f]+\(%rip\),(\S+) # END/, 'END,$1'),
  );
  t.same(shown, [...expected, 'syscall', 'ud2', 'jmp START']);
  t.end();
});
