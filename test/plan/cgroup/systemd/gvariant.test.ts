import t from 'tap';
import { parseGvariant } from '../../../../src/plan/cgroup/systemd/gvariant.ts';

t.test('parseGvariant() reads what unit properties are made of', (t) => {
  const cases: [string, string, unknown][] = [
    ['true', 'b', true],
    [' false ', 'b', false],
    ["'on-failure'", 's', 'on-failure'],
    ['"a \\"b\\" [c]"', 's', 'a "b" [c]'],
    ['5', 'i', 5n],
    ['-5', 'i', -5n],
    ['0x1f', 'i', 31n],
    ['uint64 18446744073709551615', 't', 18446744073709551615n],
    ['int64 -9223372036854775808', 'x', -9223372036854775808n],
    ['byte 255', 'y', 255n],
    ['1.5', 'd', 1.5],
    ["['a', 'b']", 'as', ['a', 'b']],
    ["[('a.service', 'b')]", 'a(ss)', [['a.service', 'b']]],
    ['(1, true, uint32 3)', '(ibu)', [1n, true, 3n]],
    ['(true,)', '(b)', [true]],
  ];
  for (const [text, signature, value] of cases) t.strictSame(parseGvariant(text), { signature, value }, text);
  t.end();
});

t.test('parseGvariant() takes nothing else', (t) => {
  const refused = ['', 'x', "'open", '[]', '()', '[1, true]', '1 2', 'uint64', 'uint64 x', 'byte 256', '2147483648'];
  refused.push("['a'", '[1,,2]', '{1}', '@as []', `${'['.repeat(20)}1${']'.repeat(20)}`, 'uint32 -1', '1e5');
  for (const text of refused) t.equal(parseGvariant(text), undefined, text);
  t.end();
});
