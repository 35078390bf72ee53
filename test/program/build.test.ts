import t from 'tap';
import {
  addressOf,
  at,
  block,
  call,
  describePlace,
  equals,
  failWhen,
  isNegative,
  isZero,
  not,
  repeatWhile,
  stringArray,
  textBlock,
  unless,
  when,
  wordBlock,
} from '../../src/program/build.ts';
import { Memory } from '../../src/program/step.ts';

const memory = new Memory();
const fd = memory.word('fd');
const buffer = memory.buffer('buffer', 64);
const close = call('close', [fd], { label: 'close' });

t.test('unless() puts a check in front that skips the steps', (t) => {
  t.same(unless(isZero(fd), [close, close]), [
    {
      kind: 'check',
      label: 'skip 2 when fd == 0',
      condition: { value: fd, mask: (1n << 64n) - 1n, wanted: 0n, invert: false, text: 'fd == 0' },
      then: { skip: 2 },
    },
    close,
    close,
  ]);
  t.same(unless(isZero(fd), []), []);
  t.end();
});

t.test('when() skips the steps when the condition does not hold', (t) => {
  const [check] = when(isNegative(fd), [close], 'label');
  const sign = 1n << 63n;
  t.same(check, {
    kind: 'check',
    label: 'label',
    condition: { value: fd, mask: sign, wanted: sign, invert: true, text: 'not (fd < 0)' },
    then: { skip: 1 },
  });
  t.end();
});

t.test('failWhen() fails with an errno', (t) => {
  const step = failWhen(not(not(isZero(fd))), 'ELOOP', { label: 'look', pointer: '/root' });
  t.same(step.then, { fail: 'ELOOP' });
  t.same([step.label, step.pointer, step.condition.invert], ['look', '/root', false]);
  t.end();
});

t.test('repeatWhile() puts a check behind the steps', (t) => {
  const options = { label: 'open', pointer: '/root', failure: 'busy: {errno}' };
  const [first, check] = repeatWhile(isNegative(fd), [close], { tries: 3, fail: 'EAGAIN', ...options });
  t.equal(first, close);
  t.match(check, { kind: 'check', then: { repeat: 1, tries: 3, fail: 'EAGAIN' }, ...options });
  t.end();
});

t.test('equals() describes what it compares', (t) => {
  t.equal(equals(fd, 3n).text, 'fd == 3');
  t.equal(equals(at(buffer, 8), fd, { mask: 7n }).text, 'buffer+8 == fd');
  t.equal(equals(fd, 3n, { text: 'is a directory' }).text, 'is a directory');
  t.end();
});

t.test('wordBlock() makes numbers and links of 8 bytes each', (t) => {
  const inner = textBlock('a');
  const outer = wordBlock([1, -1n, inner, buffer], '{}');
  t.same(
    [...outer.bytes],
    [1, ...Array<number>(7).fill(0), ...Array<number>(8).fill(255), ...Array<number>(16).fill(0)],
  );
  t.same(outer.links, [
    { at: 16, to: inner },
    { at: 24, to: buffer },
  ]);
  t.end();
});

t.test('stringArray() ends with NULL', (t) => {
  const array = stringArray(['a', 'ü']);
  t.equal(array.bytes.length, 24);
  t.equal(array.text, '["a","ü"]');
  t.same(
    array.links.map(({ at, to }) => [at, to.kind === 'block' ? [...to.bytes] : []]),
    [
      [0, [0x61, 0]],
      [8, [0xc3, 0xbc, 0]],
    ],
  );
  t.end();
});

t.test('describePlace() names the word', (t) => {
  t.equal(describePlace(fd), 'fd');
  t.equal(describePlace(at(buffer, 0)), 'buffer');
  t.equal(describePlace(at(block(new Uint8Array(16), '{x}'), 8)), '{x}+8');
  t.same(addressOf(fd), { kind: 'address', of: fd, offset: 0 });
  t.end();
});
