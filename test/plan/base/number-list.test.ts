import t from 'tap';
import { bitMask, parseNumberList } from '../../../src/plan/base/number-list.ts';

const options = { pointer: '/x', limit: 100 };

t.test('parseNumberList() reads ranges and single numbers, each number once', (t) => {
  t.same(parseNumberList('0-3,7', options), [0, 1, 2, 3, 7]);
  t.same(parseNumberList(' 99 , 2-2,0-2', options), [0, 1, 2, 99]);
  t.end();
});

t.test('parseNumberList() refuses what is no list', (t) => {
  for (const list of ['', ',', '1,', 'a', '1-', '-1', '3-1', '100', '0-100', '1-2-3', '0x1', '1.5']) {
    t.throws(() => parseNumberList(list, options), {
      code: 'config',
      issues: [
        { pointer: '/x', message: `is ${JSON.stringify(list)}, wanted a list such as "0-3,7" of numbers below 100` },
      ],
    });
  }
  t.end();
});

t.test('parseNumberList() refuses a huge range without going through it', (t) => {
  t.throws(() => parseNumberList('0-99999999999999999999', options), { code: 'config' });
  t.end();
});

t.test('bitMask() has whole words', (t) => {
  t.same(bitMask([0, 9, 63], 'x').bytes, Uint8Array.of(1, 2, 0, 0, 0, 0, 0, 0x80));
  t.equal(bitMask([64], 'x').bytes.length, 16);
  t.equal(bitMask([], 'x').bytes.length, 8);
  t.end();
});
