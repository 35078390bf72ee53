import fc from 'fast-check';
import t from 'tap';
import { TsrunError } from '../../src/errors.ts';
import { parseJson, stringifyJson } from '../../src/spec/parse.ts';

function failureOf(text: string): string {
  try {
    parseJson(text);
  } catch (error) {
    if (error instanceof TsrunError && error.code === 'config') return error.message;
    throw error;
  }
  return 'accepted';
}

// A long integer at the front forces the exact reader, which otherwise only sees what JSON.parse cannot take.
const exactly = (text: string) => (parseJson(`[9007199254740993,${text}]`) as unknown[])[1];

t.test('parseJson() keeps integers that a number cannot hold', (t) => {
  const text = '{"a":18446744073709551615,"b":-9223372036854775808,"c":9007199254740991,"d":[9007199254740992,1]}';
  const value = parseJson(text);
  t.strictSame(value, {
    a: 18446744073709551615n,
    b: -9223372036854775808n,
    c: 9007199254740991,
    d: [9007199254740992n, 1],
  });
  t.equal(stringifyJson(value), text);
  t.equal(parseJson('12345678901234567.5'), 12345678901234567.5, 'a fraction is a number');
  t.equal(parseJson('[1e400,1234567890123456]') instanceof Array, true);
  t.equal(typeof parseJson('9'.repeat(65)), 'number', 'too long for any field');
  t.end();
});

t.test('parseJson() is not fooled by digits in strings', (t) => {
  t.strictSame(parseJson('{"18446744073709551615":"18446744073709551616\\" 1"}'), {
    '18446744073709551615': '18446744073709551616" 1',
  });
  t.end();
});

t.test('parseJson() takes __proto__ for a name', (t) => {
  for (const text of ['{"__proto__":{"a":1}}', '{"__proto__":{"a":1},"b":18446744073709551615}']) {
    const value = parseJson(text) as object;
    t.equal(Object.getPrototypeOf(value), Object.prototype);
    t.ok(Object.hasOwn(value, '__proto__'));
  }
  t.end();
});

t.test('parseJson() says where and what is wrong', (t) => {
  const rows = [
    ['{]', 'broken JSON at line 1, column 2: found "]", wanted a property name or "}"'],
    ['{"a":1,}', 'broken JSON at line 1, column 8: found "}", wanted a property name'],
    ['{"a" 1}', 'broken JSON at line 1, column 6: found "1", wanted ":"'],
    ['{\n  "a": tru\n}', 'broken JSON at line 2, column 8: found "t", wanted true'],
    ['[1 2]', 'broken JSON at line 1, column 4: found "2", wanted "," or "]"'],
    ['{"a":1 "b"}', 'broken JSON at line 1, column 8: found "\\"", wanted "," or "}"'],
    ['[', 'broken JSON at line 1, column 2: found the end of the text, wanted a value or "]"'],
    ['[1,]', 'broken JSON at line 1, column 4: found "]", wanted a value'],
    ['', 'broken JSON: it is empty'],
    ['\n', 'broken JSON: it is empty'],
    ['1 x', 'broken JSON at line 1, column 3: found "x", wanted the end of the text'],
    [
      '"a\nb"',
      'broken JSON at line 1, column 3: found "\\n", wanted a closing "\\"" or a character that needs no escape',
    ],
    ['"a\\x"', 'broken JSON at line 1, column 3: found "\\\\", wanted an escape such as "\\n" or "\\u000a"'],
    [
      '"a',
      'broken JSON at line 1, column 3: found the end of the text, wanted a closing "\\"" or a character that needs no escape',
    ],
    ['\ufeff{}', 'broken JSON at line 1, column 1: found "\ufeff", wanted a value'],
    ['01', 'broken JSON at line 1, column 2: found "1", wanted the end of the text'],
  ] as const;
  for (const [text, message] of rows) t.equal(failureOf(text), message);
  t.end();
});

t.test('parseJson() bounds nesting and time', (t) => {
  t.equal(failureOf('['.repeat(256) + ']'.repeat(256)), 'accepted');
  const tooDeep = 'broken JSON at line 1, column 257: found "[", wanted at most 256 nested arrays and objects';
  t.equal(failureOf('['.repeat(257) + ']'.repeat(257)), tooDeep);
  t.equal(failureOf('['.repeat(1_000_000)), tooDeep);
  t.equal(failureOf(`["${'['.repeat(1000)}\\"["]`), 'accepted', 'brackets in strings do not count');
  t.equal(failureOf(`["${'x'.repeat(2_000_000)}", 12345678901234567]`), 'accepted');
  t.end();
});

t.test('parseJson() reads what JSON.parse reads and refuses what it refuses', (t) => {
  const noisy = fc.oneof(
    fc.json({ maxDepth: 6 }),
    fc
      .array(
        fc.constantFrom(
          ...Array.from('{}[]",:\\ut0123456789eE+-. \n\u0001truefalsn'),
          '"a":',
          '1e5',
          '-0',
          'null',
          '\\u00',
          '"',
        ),
      )
      .map((parts) => parts.join('')),
    fc.tuple(fc.json(), fc.nat(), fc.string({ maxLength: 2 })).map(([text, at, insert]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + insert + text.slice(place + 1);
    }),
  );
  const same = fc.property(noisy, (text) => {
    const expected = attempt(() => JSON.parse(text) as unknown);
    const plain = attempt(() => parseJson(text));
    const exact = attempt(() => exactly(text));
    if (!('value' in expected)) return !('value' in plain) && !('value' in exact);
    t.strictSame(withoutBigInts(plain.value), expected.value);
    t.strictSame(withoutBigInts(exact.value), expected.value);
    return true;
  });
  fc.assert(same, { numRuns: 2000, seed: 1 });
  t.end();
});

function attempt(run: () => unknown): { value?: unknown } {
  try {
    return { value: run() };
  } catch {
    return {};
  }
}

function withoutBigInts(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutBigInts);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withoutBigInts(member)]));
}

t.test('stringifyJson() writes what JSON.stringify writes', (t) => {
  const same = fc.property(fc.jsonValue(), fc.constantFrom(0, 2, 4), (value, indent) => {
    return stringifyJson(value, indent) === JSON.stringify(value, undefined, indent);
  });
  fc.assert(same, { numRuns: 1000, seed: 1 });
  const odd = { a: undefined, b: [undefined, Number.NaN], c: () => 1, d: {}, e: [], 'f"': '\u2028\ud800' };
  t.equal(stringifyJson(odd, 2), JSON.stringify(odd, undefined, 2));
  t.equal(stringifyJson({ a: 2n ** 64n }, 1), '{\n "a": 18446744073709551616\n}');
  t.equal(stringifyJson(undefined), 'null');
  t.end();
});
