import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { sha256 } from '../../src/util/sha256.ts';

t.test('sha256() agrees with OpenSSL, around the ends of blocks too', (t) => {
  const wanted = (text: string): string => createHash('sha256').update(text).digest('hex');
  for (let length = 0; length < 200; length += 1) {
    const text = 'x'.repeat(length);
    t.equal(sha256(text), wanted(text), `${length} bytes`);
  }
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => sha256(text) === wanted(text.toWellFormed())));
  t.end();
});
