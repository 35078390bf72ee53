import t from 'tap';
import {
  addressOf,
  at,
  block,
  call,
  equals,
  failWhen,
  isNegative,
  isZero,
  stringArray,
  unless,
  wordBlock,
} from '../../src/program/build.ts';
import { decode } from '../../src/program/model/decode.ts';
import { encode, stepOfFailure } from '../../src/program/encode.ts';
import { LAYOUT, OPERATION_SIZE, PACKET_HEADER_SIZE } from '../../src/program/layout.ts';
import { Memory, type Step, type Packet } from '../../src/program/step.ts';

const MESSAGE = LAYOUT.message.address;
const label = { label: 'test' };

function encodeSteps(steps: readonly Step[], arch: 'x86-64' | 'arm64' = 'x86-64'): Packet[] {
  return encode({ name: 'test', steps, replies: true }, { arch, syncFd: 3 });
}

function firstPacket(steps: readonly Step[], arch: 'x86-64' | 'arm64' = 'x86-64'): Packet {
  const [packet] = encodeSteps(steps, arch);
  if (packet === undefined) throw new Error('no packet');
  return packet;
}

/** Rows of 8 bytes in hexadecimal. */
function rows(bytes: Uint8Array): string[] {
  return [
    ...Buffer.from(bytes)
      .toString('hex')
      .matchAll(/.{1,16}/g),
  ].map(([row]) => row);
}

t.test('encode() writes a packet byte for byte', (t) => {
  const fd = new Memory().word('fd');
  const { bytes, steps, payload } = firstPacket([
    call('openat', [-100, '/dev/null', 0o2000000, 0], { ...label, accept: ['ENOENT', 'ENOTDIR'], result: fd }),
    failWhen(isNegative(fd), 'ELOOP', label),
    call('close', [fd], { ...label, accept: 'any' }),
  ]);
  t.same(rows(bytes), [
    ...['d010101000000000', '0100000000000000'],
    // openat: 257, no indirection, no flags, result to the first word behind the report.
    ...['0101000020001010', '9cffffffffffffff', 'd010101000000000', '0000080000000000', '0000000000000000'],
    ...['0000000000000000', '0000000000000000', '0200140000000000'],
    // The check: address, mask and wanted value are the sign bit, and -ELOOP.
    ...['ffff000000000000', '2000101000000000', '0000000000000080', '0000000000000080', 'd8ffffffffffffff'],
    ...['0000000000000000', '0000000000000000', '0000000000000000'],
    // close: 3, argument 0 indirect, every errno accepted.
    ...['0300010200000000', '2000101000000000', '0000000000000000', '0000000000000000', '0000000000000000'],
    ...['0000000000000000', '0000000000000000', '0000000000000000'],
    ...['2f6465762f6e756c', '6c00000000000000'],
  ]);
  t.same(steps, [0, 1, 2]);
  t.equal(payload, false);
  t.end();
});

t.test('encode() takes the numbers of the architecture', (t) => {
  const steps = [call('getpid', [], label), call('close', [3], label)];
  t.same(
    decode(firstPacket(steps, 'arm64').bytes, 'arm64').map(({ number }) => number),
    [172, 57],
  );
  t.same(
    decode(firstPacket(steps).bytes, 'x86-64').map(({ number }) => number),
    [39, 3],
  );
  t.end();
});

t.test('encode() places a text and a block once, and aligns them', (t) => {
  const shared = wordBlock([7], 'shared');
  const { bytes } = firstPacket([
    call('write', [3, shared, 8], label),
    call('chdir', ['/a'], label),
    call('chdir', ['/a'], label),
    call('write', [3, shared, 8], label),
    call('write', [3, wordBlock([7], 'shared'), 8], label),
  ]);
  const data = MESSAGE + PACKET_HEADER_SIZE + 5 * OPERATION_SIZE;
  const pointers = decode(bytes, 'x86-64').map(({ call, arguments: args }) =>
    Number(args[call === 'write' ? 1 : 0]?.value),
  );
  t.same(pointers, [data, data + 8, data + 8, data, data + 16]);
  t.equal(bytes.length, PACKET_HEADER_SIZE + 5 * OPERATION_SIZE + 24);
  t.end();
});

t.test('encode() resolves links, places and addresses', (t) => {
  const memory = new Memory();
  const buffer = memory.buffer('buffer', 32);
  const inner = wordBlock([1, 2], 'inner');
  const outer = wordBlock([inner, buffer, 3], 'outer');
  const { bytes } = firstPacket([
    call('writev', [3, outer, at(inner, 8)], { ...label, result: at(outer, 16) }),
    call('getcwd', [addressOf(buffer, 8), at(buffer, 16)], label),
    call('read', [3, addressOf(inner, 8), 8], label),
    ...unless(equals(at(inner, 0), at(outer, 16)), [call('getpid', [], label)]),
  ]);
  const data = MESSAGE + PACKET_HEADER_SIZE + 5 * OPERATION_SIZE;
  const inits = LAYOUT.memory.address + 32;
  const [writev, getcwd, read, check] = decode(bytes, 'x86-64');
  t.equal(writev?.result, data + 16);
  t.same(writev?.arguments.slice(1, 3), [
    { value: BigInt(data), indirect: false },
    { value: BigInt(data + 24 + 8), indirect: true },
  ]);
  t.same(getcwd?.arguments.slice(0, 2), [
    { value: BigInt(inits + 8), indirect: false },
    { value: BigInt(inits + 16), indirect: true },
  ]);
  t.same(read?.arguments[1], { value: BigInt(data + 32), indirect: false });
  t.same(check?.arguments.map(({ value, indirect }) => [value, indirect]).slice(0, 4), [
    [BigInt(data + 24), false],
    [(1n << 64n) - 1n, false],
    [BigInt(data + 16), true],
    [1n, false],
  ]);
  const view = new DataView(bytes.buffer, bytes.byteOffset + data - MESSAGE);
  t.same(
    [0, 8, 16].map((offset) => view.getBigUint64(offset, true)),
    [BigInt(data + 24), BigInt(inits), 3n],
  );
  t.end();
});

t.test('encode() places blocks that point to each other', (t) => {
  const links: { at: number; to: ReturnType<typeof block> }[] = [];
  const first = block(new Uint8Array(8), 'first', links);
  links.push({ at: 0, to: first });
  const { bytes } = firstPacket([call('write', [3, first, 8], label)]);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  t.equal(
    view.getBigUint64(PACKET_HEADER_SIZE + OPERATION_SIZE, true),
    BigInt(MESSAGE + PACKET_HEADER_SIZE + OPERATION_SIZE),
  );
  t.end();
});

t.test('encode() translates the open flags that arm64 numbers differently', (t) => {
  const how = wordBlock([0o12600000, 0, 0x10], 'how');
  const steps = [
    call('openat', [-100, '/', 0o2600000, 0], label),
    call('openat2', [3, 'a', how, 24], label),
    call('openat2', [3, 'b', how, 24], label),
  ];
  const flagsOf = (arch: 'x86-64' | 'arm64'): unknown => {
    const { bytes } = firstPacket(steps, arch);
    const [openat, first, second] = decode(bytes, arch);
    const pointers = [first, second].map((operation) => Number(operation?.arguments[2]?.value ?? 0n));
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    t.equal(pointers[0], pointers[1], 'the block is still one');
    return [openat?.arguments[2]?.value, view.getBigUint64((pointers[0] ?? 0) - MESSAGE, true)];
  };
  t.same(flagsOf('x86-64'), [0o2600000n, 0o12600000n]);
  t.same(flagsOf('arm64'), [0o2140000n, 0o12140000n]);
  t.end();
});

t.test('encode() cuts a long program into packets that ask for more', (t) => {
  const steps = Array.from({ length: 2000 }, (_, index) => call('umask', [index % 512], label));
  const packets = encodeSteps(steps);
  // 16 + 64 * 958 + 64 + 8 = 61400 bytes.
  t.same(
    packets.map(({ steps }) => steps.length),
    [959, 959, 84],
  );
  t.same(
    packets.map(({ bytes }) => bytes.length <= LAYOUT.message.size),
    [true, true, true],
  );
  t.same(
    packets.flatMap(({ steps }) => steps.filter((step) => step >= 0)),
    steps.map((_, index) => index),
  );
  const last = decode(packets[0]?.bytes ?? new Uint8Array(), 'x86-64').at(-1);
  t.equal(last?.call, 'write');
  t.equal(packets[0]?.steps.at(-1), -1);
  t.same(
    packets.map(({ bytes }) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(12, true)),
    [0, 1, 2],
    'sequence',
  );
  t.end();
});

t.test('encode() asks for no more behind the answer', (t) => {
  const close = call('close', [5], { ...label, accept: 'any' });
  const tell = (tag: number): Step => call('write', [3, wordBlock([tag], 'tag'), 8], label);
  // One of two answers, by whether there is something to send.
  const word = new Memory().word('word');
  const ends = [
    [tell(16), close, close],
    [...unless(isNegative(word), [tell(16)]), ...unless(isZero(word), [tell(17), close])],
  ];
  for (const end of ends) {
    for (let count = 950; count < 962; count++) {
      const steps = [...Array.from({ length: count }, () => call('getpid', [], label)), ...end];
      const first = steps.findIndex(({ kind, label: of }, index) => kind === 'call' && of === 'test' && index >= count);
      const packets = encodeSteps(steps);
      t.ok(packets.at(-1)?.steps.includes(first), `${count} steps: the answer is in the last packet`);
      t.same(
        packets.flatMap((packet) => packet.steps).filter((step) => step >= 0),
        [...steps.keys()],
        'with every step once',
      );
    }
  }
  t.end();
});

t.test('encode() sends data that is too large for a packet in payloads', (t) => {
  const args = stringArray(['sh', 'x'.repeat(70_000)]);
  const packets = encodeSteps([
    call('chdir', ['/tmp'], label),
    ...['/usr/bin/sh', '/bin/sh'].map((path) =>
      call('execve', [path, args, 0], { ...label, accept: ['ENOENT'] as const }),
    ),
  ]);
  t.same(
    packets.map(({ payload }) => payload),
    [false, true, true, false],
  );
  t.same(
    packets.map(({ steps }) => [...steps]),
    [[-1, -1, -1, -1, -1], [], [], [0, 1, 2]],
  );
  const [first, one, two, last] = packets.map(({ bytes }) => bytes);
  if (first === undefined || one === undefined || two === undefined || last === undefined)
    throw new Error('no packets');
  const [, readOne, , readTwo] = decode(first, 'x86-64');
  t.same(
    readOne?.arguments.slice(0, 3).map(({ value }) => value),
    [3n, BigInt(LAYOUT.bulk.address), 61440n],
  );
  t.same(
    readTwo?.arguments.slice(0, 3).map(({ value }) => value),
    [3n, BigInt(LAYOUT.bulk.address + 61440), BigInt(two.length)],
  );
  const argv = decode(last, 'x86-64')
    .slice(1)
    .map(({ arguments: values }) => Number(values[1]?.value));
  t.equal(argv[0], argv[1], 'both calls share the arguments');
  const bulk = Buffer.concat([one, two]);
  const pointer = Number(bulk.readBigUInt64LE((argv[0] ?? 0) - LAYOUT.bulk.address + 8)) - LAYOUT.bulk.address;
  t.equal(bulk.toString('latin1', pointer, pointer + 70_001), `${'x'.repeat(70_000)}\0`);
  t.end();
});

t.test('encode() sends nothing behind payloads that the data fills exactly', (t) => {
  const payloadsOf = (length: number): number[] =>
    encodeSteps([call('execve', ['/bin/sh', stringArray(['x'.repeat(length)]), 0], label)])
      .filter(({ payload }) => payload)
      .map(({ bytes }) => bytes.length);
  // Beside the text with its NUL: the path, and the two pointers of the array.
  const others = 8 + 16;
  const { size } = LAYOUT.message;
  t.same(payloadsOf(2 * size - others - 1), [size, size]);
  t.same(payloadsOf(2 * size - others), [size, size, 8]);
  t.equal(
    payloadsOf(LAYOUT.bulk.size - others - 1).reduce((sum, one) => sum + one),
    LAYOUT.bulk.size,
    'all of bulk',
  );
  t.throws(() => payloadsOf(LAYOUT.bulk.size - others), { code: 'program', errno: 'E2BIG' });
  t.end();
});

t.test('encode() refuses data that bulk cannot hold', (t) => {
  const args = stringArray(['x'.repeat(5_000_000)]);
  t.throws(() => encodeSteps([call('execve', ['/bin/sh', args, 0], label)]), {
    code: 'program',
    errno: 'E2BIG',
    message:
      'send arguments and environment: 5000032 bytes found, at most 4194304 wanted: argument list too long: E2BIG',
  });
  t.end();
});

t.test('encode() throws for programs that make no sense', (t) => {
  const accept = ['EPERM', 'ENOENT', 'EIO', 'EINTR', 'EBADF'] as const;
  t.throws(() => encodeSteps([call('chdir', ['a\0b'], label)]), { message: 'bug: the text "a\\u0000b" has a NUL' });
  t.throws(() => encodeSteps([call('close', [1.5], label)]), { message: 'bug: 1.5 is not a safe integer' });
  t.throws(() => encodeSteps([call('close', [1n << 64n], label)]), {
    message: 'bug: 18446744073709551616 has more than 64 bits',
  });
  t.throws(() => encodeSteps([call('close', [1], { ...label, accept })]), {
    message: 'bug: 5 accepted errnos, at most 4',
  });
  t.throws(() => encodeSteps([call('close', [1, 2, 3, 4, 5, 6, 7], label)]), { message: 'bug: 7 operands' });
  const links = [{ at: 1, to: wordBlock([1], 'inner') }];
  t.throws(() => encodeSteps([call('write', [3, block(new Uint8Array(8), 'outer', links), 8], label)]), {
    message: 'bug: a link at 1 is outside outer',
  });
  t.end();
});

t.test('stepOfFailure() finds the step by the address in the report', (t) => {
  const packets = encodeSteps(Array.from({ length: 1000 }, () => call('getpid', [], label)));
  const [first, second] = packets;
  if (first === undefined || second === undefined) throw new Error('no packets');
  t.equal(stepOfFailure(first, 0x1010_1010), 0);
  t.equal(stepOfFailure(first, 0x1010_1010 + 64 * 5), 5);
  t.equal(stepOfFailure(first, 0x1010_1010 + 64 * (first.steps.length - 1)), -1, 'the request for more');
  t.equal(stepOfFailure(second, 0x1010_1010), first.steps.length - 1);
  for (const address of [0x1010_1011, 0x1010_1000, 0x1010_1010 + 64 * first.steps.length, 0])
    t.throws(() => stepOfFailure(first, address), {
      code: 'init',
      message: /0x[0-9a-f]+ is not the address of an operation$/,
    });
  t.end();
});
