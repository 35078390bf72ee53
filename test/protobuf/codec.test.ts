import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import {
  bytes,
  decode,
  encode,
  flag,
  int32,
  int64,
  list,
  nested,
  text,
  uint32,
  uint64,
} from '../../src/protobuf/codec.ts';
import { ANY, kindOf, NEVER, TIMESTAMP, timestampOf } from '../../src/shim/wire/common.ts';
import { encodeEvent } from '../../src/shim/wire/events.ts';
import { METHODS } from '../../src/shim/wire/task.ts';
import { REQUEST, RESPONSE } from '../../src/shim/wire/rpc.ts';

const EVERYTHING = {
  name: text(1),
  raw: bytes(2),
  isSet: flag(3),
  small: uint32(4),
  signed: int32(5),
  large: uint64(6),
  largeSigned: int64(7),
  names: list(text(8)),
  numbers: list(uint64(9)),
  inner: nested(16, { name: text(1), isSet: flag(15) }),
  inners: list(nested(2047, { name: text(1) })),
};

const integer = fc.oneof(fc.maxSafeNat(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }), fc.constant(0));
const signed = fc.oneof(
  fc.maxSafeInteger(),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
);
const word = fc.string({ unit: 'grapheme' });

t.test('decode() reads what encode() writes, whatever the values', (t) => {
  const value = fc.record({
    name: word,
    raw: fc.uint8Array(),
    isSet: fc.boolean(),
    small: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    signed: fc.integer(),
    large: integer,
    largeSigned: signed,
    names: fc.array(word),
    numbers: fc.array(integer),
    inner: fc.option(fc.record({ name: word, isSet: fc.boolean() }), { nil: undefined }),
    inners: fc.array(fc.record({ name: word })),
  });
  fc.assert(
    fc.property(value, (given) => {
      const read = decode(EVERYTHING, encode(EVERYTHING, given));
      return isDeepStrictEqual(structuredClone(read), structuredClone({ ...given }));
    }),
    { numRuns: 300 },
  );
  t.pass('of 300 values');
  t.end();
});

t.test('encode() writes the bytes that protocol buffers have', (t) => {
  const hex = (table: Parameters<typeof encode>[0], value: object): string => encode(table, value).toString('hex');
  const rows: [table: Parameters<typeof encode>[0], value: object, hex: string][] = [
    [{ a: int32(1) }, { a: 150 }, '089601'],
    [{ a: text(2) }, { a: 'testing' }, '120774657374696e67'],
    [{ a: int32(1) }, { a: -1 }, '08ffffffffffffffffff01'],
    [{ c: nested(3, { a: int32(1) }) }, { c: { a: 150 } }, '1a03089601'],
    [{ c: nested(3, {}) }, { c: {} }, '1a00'],
    [{ d: text(4), e: list(uint32(5)) }, { d: 'hello', e: [1, 2, 3] }, '220568656c6c6f280128022803'],
    [{ a: text(1), b: bytes(2), c: flag(3), d: uint64(4) }, { a: '', b: Buffer.alloc(0), c: false, d: 0 }, ''],
    // As containerd's own shim writes the end of what has not ended.
    [TIMESTAMP, NEVER, '088092b8c398feffffff01'],
  ];
  for (const [table, value, wanted] of rows) t.equal(hex(table, value), wanted, JSON.stringify(value));
  t.end();
});

t.test(
  'decode() takes integers of a list packed together, skips what it does not know, and takes the last of several',
  (t) => {
    const read = (table: Parameters<typeof decode>[0], hex: string) => decode(table, Buffer.from(hex, 'hex'));
    t.strictSame(read({ e: list(uint32(5)) }, '2a050102039601' + '2804'), { e: [1, 2, 3, 150, 4] });
    // Fields 6 to 9: a varint, eight bytes, a text and four bytes.
    t.strictSame(read({ a: int32(1) }, '3001' + '390102030405060708' + '42026869' + '4d01020304' + '0805'), { a: 5 });
    t.strictSame(read({ a: int32(1) }, '08010802'), { a: 2 });
    t.end();
  },
);

t.test('decode() refuses what is no message', (t) => {
  const rows: [hex: string, why: RegExp][] = [
    ['08', /ends in the middle of a number/],
    ['0896', /ends in the middle of a number/],
    ['08ffffffffffffffffffff01', /more than 10 bytes/],
    ['12', /middle of a number/],
    ['1205aabb', /middle of a field/],
    ['12ffffffffffffffffff01', /middle of a field/],
    ['1202fffe', /no UTF-8/],
    ['0a0100', /wire type 2/],
    ['0001', /the number 0/],
    ['0b0c', /wire type 3/],
    ['1b1c', /no wire type 3/],
  ];
  for (const [hex, why] of rows) {
    const attempt = (): unknown => decode({ a: int32(1), b: text(2) }, Buffer.from(hex, 'hex'));
    t.throws(attempt, why, hex);
  }
  t.end();
});

t.test('messages as containerd sends them are read', (t) => {
  // A State request of ctr 1.6.20, as it was seen: service, method, payload with the id, and a timeout.
  const request = encode(REQUEST, {
    service: 'containerd.task.v2.Task',
    method: 'State',
    payload: Buffer.from('0a0161', 'hex'),
  });
  t.equal(request.toString('hex'), '0a17636f6e7461696e6572642e7461736b2e76322e5461736b120553746174651a030a0161');
  const { service, method, payload, metadata } = decode(REQUEST, request);
  t.strictSame([service, method, metadata], ['containerd.task.v2.Task', 'State', []]);
  t.strictSame(decode(METHODS.State.request, payload as Buffer), { id: 'a', execId: '' });
  t.equal(encode(RESPONSE, { payload: encode({}, {}) }).length, 0, 'an empty answer has no bytes');
  const event = encodeEvent('/tasks/exit', {
    containerId: 'a',
    id: 'b',
    pid: 7,
    exitStatus: 137,
    exitedAt: timestampOf(1500),
  });
  t.equal(event.typeUrl, 'containerd.events.TaskExit');
  t.equal(event.value.toString('hex'), '0a016112016218072089012a08080110' + '80cab5ee01');
  t.equal(kindOf(decode(ANY, encode(ANY, { typeUrl: 'types.containerd.io/a.B' }))), 'a.B');
  t.end();
});
