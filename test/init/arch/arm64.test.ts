import t from 'tap';
import { Arm64 } from '../../../src/init/arch/arm64.ts';
import { disassemble, reasonToSkip, REGISTERS, writeEverything } from './listing.ts';

const TOOL = 'aarch64-linux-gnu-objdump';
const NUMBERS = { operation: 19, number: 8, result: 0, a0: 0, a1: 1, a2: 2, a3: 3, a4: 4, a5: 5, s0: 9 };

t.test('Arm64 assembles what objdump reads back', { skip: reasonToSkip(TOOL) }, (t) => {
  const machine = new Arm64();
  writeEverything(machine);
  const lines = disassemble(machine.assemble(), { tool: TOOL, machine: 'aarch64', directory: t.testdir() });
  const expected = REGISTERS.flatMap((register) => {
    const x = `x${NUMBERS[register]}`;
    const w = `w${NUMBERS[register]}`;
    return [
      ...[`mov ${x}, #0x5678`, `movk ${x}, #0x1234, lsl #16`],
      `mov ${x}, #0xfffffffffffff001`,
      `mov ${x}, x9`,
      `ldrb ${w}, [${x}, #56]`,
      `ldrh ${w}, [${x}, #56]`,
      `ldr ${w}, [${x}, #56]`,
      `ldr ${x}, [${x}, #56]`,
      `str x3, [${x}, #120]`,
      `strb ${w}, [x3]`,
      `strb w1, [${x}]`,
      `mov ${x}, sp`,
      `adr ${x}, END`,
      `sub x19, x19, ${x}`,
      `lsr ${x}, ${x}, #4`,
      `add x19, x19, ${x}`,
      `add ${x}, ${x}, #0x7f`,
      `and ${x}, ${x}, x5`,
      `lsl ${x}, ${x}, #6`,
      ...[`cbz ${x}, START`, `cmp ${x}, x4`, 'b.eq END', `cmp ${x}, x4`, 'b.cc START'],
      ...[`tbnz ${x}, #63, END`, `tbz ${w}, #5, START`],
    ];
  });
  const end = `0x${machine.assemble().length.toString(16)}`;
  const shown = lines.map((line) => line.replace(/ 0x0$/, ' START').replace(` ${end}`, ' END'));
  t.same(shown, [...expected, 'svc #0x0', 'udf #0', 'b START']);
  t.end();
});
