import t from 'tap';
import { quote } from '../../src/spec/quote.ts';

t.test('quote() writes JSON and cuts it', (t) => {
  t.equal(quote('a\n"b"'), '"a\\n\\"b\\""');
  t.equal(quote({ a: 2n ** 64n }), '{"a":18446744073709551616}');
  t.equal(quote('x'.repeat(58)), `"${'x'.repeat(58)}"`);
  t.equal(quote('x'.repeat(59)), `"${'x'.repeat(59)}...`);
  t.equal(quote(undefined), 'null');
  t.end();
});
