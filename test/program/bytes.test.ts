import fc from 'fast-check';
import t from 'tap';
import { alignUp, readText, writeWord } from '../../src/program/bytes.ts';

t.test('alignUp() goes to the next multiple of 8', (t) => {
  t.same([0, 1, 7, 8, 9].map(alignUp), [0, 8, 8, 8, 16]);
  t.end();
});

t.test('readText() accepts what TextDecoder accepts', (t) => {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const decode = (bytes: Uint8Array): string | undefined => {
    try {
      return decoder.decode(bytes);
    } catch {
      return undefined;
    }
  };
  const encoded = fc.string({ unit: 'binary' }).map((text) => new TextEncoder().encode(text));
  const broken = fc
    .tuple(encoded, fc.nat(), fc.nat(255))
    .map(([bytes, at, value]) => bytes.map((byte, index) => (index === at % bytes.length ? value : byte)));
  const sequences = fc.array(
    fc.constantFrom(0x41, 0x80, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xa0, 0x9f, 0xf0, 0x90, 0xf4, 0x8f, 0xf8, 0xff),
    { maxLength: 5 },
  );
  const inputs = fc.oneof(
    encoded,
    broken,
    sequences.map((values) => Uint8Array.from(values)),
  );
  fc.assert(
    fc.property(inputs, (bytes) => readText(bytes) === decode(bytes)),
    { numRuns: 5000 },
  );
  t.pass();
  t.end();
});

t.test("writeWord() writes numbers as two words in two's complement", (t) => {
  const view = new DataView(new ArrayBuffer(8));
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      writeWord(view, 0, value);
      return view.getBigInt64(0, true) === BigInt(value);
    }),
  );
  writeWord(view, 0, -1n);
  t.equal(view.getBigUint64(0, true), (1n << 64n) - 1n);
  writeWord(view, 0, (1n << 64n) - 1n);
  t.equal(view.getBigInt64(0, true), -1n);
  t.throws(
    () => {
      writeWord(view, 0, 2 ** 53);
    },
    { message: 'bug: 9007199254740992 is not a safe integer' },
  );
  t.throws(() => {
    writeWord(view, 0, Number.NaN);
  }, RangeError);
  t.throws(
    () => {
      writeWord(view, 0, -(1n << 63n) - 1n);
    },
    { message: 'bug: -9223372036854775809 has more than 64 bits' },
  );
  t.end();
});
