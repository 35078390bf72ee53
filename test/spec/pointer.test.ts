import t from 'tap';
import { pointerKeys, pointerTo, valueAt } from '../../src/spec/pointer.ts';

t.test('pointerTo() escapes, pointerKeys() reverses it', (t) => {
  t.equal(pointerTo('/a', 'b/c~d'), '/a/b~1c~0d');
  t.equal(pointerTo('', 3), '/3');
  t.strictSame(pointerKeys('/a/b~1c~0d/~01'), ['a', 'b/c~d', '~1']);
  t.strictSame(pointerKeys(''), []);
  t.end();
});

t.test('valueAt() follows own members only', (t) => {
  t.equal(valueAt({ a: [0, { 'b/c': 5 }] }, '/a/1/b~1c'), 5);
  t.equal(valueAt(7, ''), 7);
  t.equal(valueAt({}, '/constructor'), undefined);
  t.equal(valueAt({ a: null }, '/a/b'), undefined);
  t.end();
});
