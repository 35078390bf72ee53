import t from 'tap';
import { REPORT_SIZE } from '../../src/program/layout.ts';
import { Memory } from '../../src/program/step.ts';

t.test('Memory allocates behind the failure report and no further than its area', (t) => {
  const memory = new Memory();
  t.same(memory.word('a'), { kind: 'region', name: 'a', offset: REPORT_SIZE, size: 8 });
  t.same(memory.buffer('b', 9), { kind: 'region', name: 'b', offset: REPORT_SIZE + 8, size: 16 });
  t.throws(() => memory.buffer('c', 4096), {
    code: 'unsupported',
    message: 'init cannot hold so many handles at a time: no room for "c"',
  });
  t.end();
});
