import t from 'tap';
import { Code } from '../../src/init/assembler.ts';

t.test('Code completes references to labels before and behind them', (t) => {
  const code = new Code();
  const patch = (view: DataView, at: number, target: number): void => {
    view.setInt32(at, target - at, true);
  };
  code.label('start');
  code.bytes(0x90);
  code.reference('end', 0, patch);
  code.reference('start', 0, patch);
  code.word(0x8765_4321);
  code.label('end');
  t.same([...code.assemble()], [0x90, 12, 0, 0, 0, 0xfb, 0xff, 0xff, 0xff, 0x21, 0x43, 0x65, 0x87]);
  t.end();
});

t.test('Code throws for labels that are placed never or twice', (t) => {
  const code = new Code();
  code.reference('nowhere', 0, () => undefined);
  t.throws(() => code.assemble(), { message: 'bug: the label "nowhere" is not placed' });
  code.label('here');
  t.throws(
    () => {
      code.label('here');
    },
    { message: 'bug: the label "here" is placed twice' },
  );
  t.end();
});
