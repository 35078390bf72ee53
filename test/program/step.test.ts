import t from 'tap';
import { block } from '../../src/program/build.ts';
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

t.test('Memory has a stack at its end, whose slots are free again behind their scope', (t) => {
  const memory = new Memory();
  const slot = (name: string, offset: number) => ({ kind: 'region', name, offset, size: 8, isScoped: true });
  memory.withSlot('outer', (outer) => {
    t.same(outer, slot('outer', 4088));
    t.same(
      memory.withSlot('inner', (inner) => inner),
      slot('inner', 4080),
    );
    t.same(
      memory.withSlot('next', (next) => next),
      slot('next', 4080),
    );
    t.equal(memory.word('for good').offset, REPORT_SIZE, 'what is for good lies elsewhere');
  });
  t.same(
    memory.withSlot('again', (again) => again),
    slot('again', 4088),
  );
  memory.buffer('all the rest', 4096 - REPORT_SIZE - 8 - 16);
  t.throws(() => memory.word('one more'), { message: /no room for "one more"/ }, 'the stack was this deep');
  t.end();
});

t.test('Memory makes a shared structure once for each key', (t) => {
  const memory = new Memory();
  const make = (text: string) => () => block(new Uint8Array(8), text);
  const first = memory.shared('a', make('first'));
  t.equal(memory.shared('a', make('another')), first);
  t.equal(memory.shared('b', make('second')).text, 'second');
  t.equal(new Memory().shared('a', make('of another conversation')).text, 'of another conversation');
  t.end();
});
