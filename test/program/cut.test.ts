import fc from 'fast-check';
import t from 'tap';
import { at, block, call, isZero, repeatWhile, unless, wordBlock } from '../../src/program/build.ts';
import { cutProgram } from '../../src/program/cut.ts';
import { encode } from '../../src/program/encode.ts';
import { LAYOUT } from '../../src/program/layout.ts';
import { Memory, type Step } from '../../src/program/step.ts';

const label = { label: 'test' };

function fill(count: number): Step[] {
  return Array.from({ length: count }, () => call('getpid', [], label));
}

t.test('cutProgram() makes one packet of what fits', (t) => {
  t.same(cutProgram([]), { ranges: [{ from: 0, to: 0 }], bulk: [] });
  // 16 + 64 * 959 = 61392; one more step needs 61456.
  t.same(cutProgram(fill(959)).ranges, [{ from: 0, to: 959 }]);
  t.same(cutProgram(fill(960)).ranges, [
    { from: 0, to: 958 },
    { from: 958, to: 960 },
  ]);
  // 16 + 64 * 958 + 8 * 14 = 61440, to the byte.
  const withWords = (count: number): Step[] => [
    ...fill(957),
    call('write', [1, wordBlock(Array<number>(count).fill(0), 'zeros'), 8 * count], label),
  ];
  t.same(cutProgram(withWords(14)).ranges, [{ from: 0, to: 958 }]);
  t.equal(cutProgram(withWords(15)).ranges.length, 2);
  const lengths = (count: number): number[] =>
    encode({ name: 'test', replies: true, steps: withWords(count) }, { arch: 'x86-64', syncFd: 3 }).map(
      ({ bytes }) => bytes.length,
    );
  t.same(lengths(14), [LAYOUT.message.size]);
  t.equal(lengths(15).length, 2);
  t.end();
});

t.test('cutProgram() never cuts inside the span of a check', (t) => {
  const word = new Memory().word('word');
  const steps = [...fill(950), ...unless(isZero(word), fill(20)), ...fill(5)];
  t.same(cutProgram(steps).ranges, [
    { from: 0, to: 950 },
    { from: 950, to: 976 },
  ]);
  t.end();
});

t.test('cutProgram() never cuts inside a repetition', (t) => {
  const word = new Memory().word('word');
  const options = { ...label, tries: 3, fail: 'EAGAIN' } as const;
  const steps = [...fill(950), ...repeatWhile(isZero(word), fill(20), options), ...fill(5)];
  t.same(cutProgram(steps).ranges, [
    { from: 0, to: 950 },
    { from: 950, to: 976 },
  ]);
  const inside = [...fill(950), ...unless(isZero(word), repeatWhile(isZero(word), fill(8), options)), ...fill(20)];
  t.same(cutProgram(inside).ranges[0], { from: 0, to: 950 }, 'nor where it is in the span of a check');
  t.end();
});

t.test(
  'cutProgram() keeps what reads a structure in the packet of the call through whose argument the kernel wrote it',
  (t) => {
    const answer = block(new Uint8Array(16), 'answer');
    const size = block(Uint8Array.of(12, 0, 0, 0), '12');
    const writers = [
      call('pipe2', [answer, 0], label),
      call('wait4', [1, answer, 0, 0], label),
      call('wait4', [1, 0, 0, answer], label),
      call('getsockopt', [3, 1, 17, answer, size], label),
      call('getsockopt', [3, 1, 17, size, answer], label),
      call('statx', [3, '', 0, 0, answer], label),
    ];
    for (const writer of writers) {
      const steps = [...fill(900), writer, ...fill(100), call('write', [3, answer, 16], label)];
      t.same(cutProgram(steps).ranges.at(-1), { from: 900, to: 1002 }, writer.call);
    }
    const reader = [
      ...fill(900),
      call('write', [3, answer, 16], label),
      ...fill(100),
      call('write', [3, answer, 8], label),
    ];
    t.not(cutProgram(reader).ranges.at(-1)?.from, 900, 'what is read alone may be copied');
    t.end();
  },
);

t.test('cutProgram() keeps the steps together that share what one of them writes', (t) => {
  const answer = wordBlock([16, 0], 'answer');
  const steps = [
    ...fill(900),
    call('getpid', [], { ...label, result: at(answer, 8) }),
    ...fill(100),
    call('write', [3, wordBlock([answer], 'iovec'), 16], label),
  ];
  t.same(cutProgram(steps).ranges, [
    { from: 0, to: 900 },
    { from: 900, to: 1002 },
  ]);
  t.end();
});

t.test('cutProgram() cuts between steps that only read a structure', (t) => {
  const how = wordBlock([0, 0, 0], 'how');
  const steps = Array.from({ length: 1000 }, () => call('openat2', [3, 'a', how, 24], label));
  t.equal(cutProgram(steps).ranges.length, 2);
  t.end();
});

t.test('cutProgram() throws for steps that hold together and do not fit', (t) => {
  const word = new Memory().word('word');
  t.throws(() => cutProgram(unless(isZero(word), fill(1000), 'too much')), {
    message: 'bug: the 1001 steps from "too much" do not fit into a packet',
  });
  t.end();
});

t.test('cutProgram() gives ranges whose packets fit, in order and without gaps', (t) => {
  const step = fc.oneof(
    fc.nat(3000).map((length) => call('chdir', ['x'.repeat(length)], label)),
    fc.constant(call('getpid', [], label)),
  );
  const word = new Memory().word('word');
  const part = fc
    .tuple(fc.boolean(), fc.array(step, { maxLength: 30 }))
    .map(([isSpan, steps]) => (isSpan ? unless(isZero(word), steps) : steps));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
      const steps = parts.flat();
      const packets = encode({ name: 'test', steps, replies: true }, { arch: 'x86-64', syncFd: 3 });
      const indexes = packets.flatMap((packet) => packet.steps.filter((index) => index >= 0));
      return (
        indexes.length === steps.length &&
        indexes.every((index, position) => index === position) &&
        packets.every(({ bytes }) => bytes.length <= LAYOUT.message.size)
      );
    }),
    { numRuns: 100 },
  );
  t.pass('100 programs');
  t.end();
});
