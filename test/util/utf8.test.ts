import fc from 'fast-check';
import t from 'tap';
import { utf8, writeUtf8 } from '../../src/util/utf8.ts';

t.test('utf8() and writeUtf8() agree with Buffer', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const wanted = Buffer.from(text.toWellFormed());
      const bytes = new Uint8Array(wanted.length + 2).fill(7);
      return (
        wanted.equals(utf8(text)) &&
        writeUtf8(bytes, 1, text) === wanted.length &&
        Buffer.from(bytes).equals(Buffer.concat([Buffer.of(7), wanted, Buffer.of(7)]))
      );
    }),
  );
  t.same([...utf8('\ud800')], [0xef, 0xbf, 0xbd], 'a lone surrogate becomes U+FFFD');
  t.end();
});

t.test('writeUtf8() tells what does not fit', (t) => {
  const bytes = new Uint8Array(4);
  t.equal(writeUtf8(bytes, 1, 'abc'), 3);
  t.equal(writeUtf8(bytes, 2, 'abc'), undefined);
  t.equal(writeUtf8(bytes, 0, 'abc\u00e9'), undefined);
  t.equal(writeUtf8(bytes, 4, ''), 0);
  t.end();
});
