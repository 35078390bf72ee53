import t from 'tap';
import { failedWith } from '../../../src/plan/base/failed-with.ts';
import { makeContext } from '../fixtures.ts';

t.test('failedWith() compares with the negative errno as 64 bits', (t) => {
  const target = makeContext().memory.word('target');
  t.match(failedWith(target, 'ENOENT'), { value: target, wanted: 0xffff_ffff_ffff_fffen, text: 'target == -ENOENT' });
  t.end();
});
