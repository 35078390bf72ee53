import t from 'tap';
import { at, call, equals, failWhen, stringArray, wordBlock } from '../../src/program/build.ts';
import { encode } from '../../src/program/encode.ts';
import { fitsSeries, mark, numberMark, programOf } from '../../src/program/series.ts';
import { Memory, type Program, type Step, type Part, type Series } from '../../src/program/step.ts';
import { differences } from './series-bytes.ts';

const memory = new Memory();
const result = memory.word('result');
const stat = memory.buffer('stat', 32);

interface Item {
  readonly name: string;
  readonly mode: number | bigint;
  readonly device: bigint;
}

function plan({ name, mode, device }: Item): Step[] {
  return [
    call('openat', [result, `dir/${name}`, 0o400000, 0], { label: `open ${name}`, result, accept: ['ENOENT'] }),
    call('fchmodat', [result, name, mode], { label: `change ${name}` }),
    failWhen(equals(at(stat, 8), device), 'EEXIST', { label: `look at ${name}` }),
  ];
}

function seriesOf(items: readonly Item[]): Series {
  const itemAt = (index: number): Item => items[index] ?? { name: '', mode: 0, device: 0n };
  return {
    kind: 'series',
    count: items.length,
    template: plan({ name: mark(0), mode: numberMark(1), device: numberMark(2) }),
    values: (index) => [itemAt(index).name, itemAt(index).mode, itemAt(index).device],
    plan: (index) => plan(itemAt(index)),
  };
}

function itemsOf(count: number, nameOf = (index: number) => `name-${index}`): Item[] {
  return Array.from({ length: count }, (_, index) => ({
    name: nameOf(index),
    mode: (0xffff_ff00 + index) >>> 0,
    device: (BigInt(index) << 32n) | 3n,
  }));
}

const before = call('umask', [0], { label: 'before' });
const behind = call('write', [3, wordBlock([16], '{tag=16}'), 8], { label: 'answer' });

function programWith(...parts: Part[]): Program {
  return programOf({ name: 'test', replies: true }, parts);
}

t.test('encode() writes for the items of a series what it writes for their steps', (t) => {
  const names = [
    (index: number) => `name-${index}`,
    () => 'the same',
    (index: number) => 'ä'.repeat(index % 7),
    (index: number) => 'x'.repeat((index * 37) % 4000),
  ];
  for (const arch of ['x86-64', 'arm64'] as const) {
    for (const nameOf of names)
      t.strictSame(differences(programWith(before, seriesOf(itemsOf(700, nameOf)), behind), arch), []);
    t.strictSame(differences(programWith(seriesOf(itemsOf(1)), seriesOf(itemsOf(2)), before, behind), arch), []);
  }
  t.end();
});

t.test('encode() cuts as any other a series that cannot be in packets of its own', (t) => {
  const counter = wordBlock([0], '{count}');
  const count = call('read', [4, counter, 8], { label: 'count' });
  const items = itemsOf(150);
  const shared = programWith(count, seriesOf(items), count, behind);
  const last = programWith(before, seriesOf(items));
  for (const program of [shared, last]) {
    const steps = { name: 'test', replies: true, steps: program.steps };
    const options = { arch: 'x86-64', syncFd: 3 } as const;
    t.strictSame(encode(program, options), encode(steps, options));
  }
  t.end();
});

t.test('programOf() has series for nothing but what they are needed for', (t) => {
  t.notOk('parts' in programWith(before, behind));
  t.same(
    programWith(before, seriesOf(itemsOf(2)), behind).steps.map(({ label }) => label),
    ['before', ...[0, 1].flatMap((i) => [`open name-${i}`, `change name-${i}`, `look at name-${i}`]), 'answer'],
  );
  t.end();
});

t.test('encode() refuses a series with a mark in a structure, and one that writes to a structure', (t) => {
  const rows = [
    [call('execve', ['/x', stringArray([mark(0)]), 0], { label: '' }), /^bug: a series has a mark/],
    [call('read', [3, wordBlock([0], '{word}'), 8], { label: '' }), /^bug: a series writes/],
  ] as const;
  for (const [step, message] of rows) {
    const program = programWith({ ...seriesOf(itemsOf(200)), template: [step] }, behind);
    t.throws(() => encode(program, { arch: 'x86-64', syncFd: 3 }), { message });
  }
  t.end();
});

t.test('fitsSeries() takes no text with a mark in it, and none that is too long', (t) => {
  t.same(['a', 'ä', '', `a${mark(3)}`, 'x'.repeat(4097)].map(fitsSeries), [true, true, true, false, false]);
  t.end();
});
