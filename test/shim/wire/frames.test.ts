import t from 'tap';
import { encodeFrame, FrameReader, PAYLOAD_BYTES_MAX, type Frame } from '../../../src/shim/wire/frames.ts';

const seen = (frames: readonly Frame[]) =>
  frames.map(({ stream, type, payload }) => [stream, type, payload?.toString('latin1')]);

t.test('encodeFrame() writes a header of ten bytes', (t) => {
  t.equal(encodeFrame(1, 2, Buffer.alloc(0)).toString('hex'), '00000000000000010200', 'as it was seen');
  t.equal(encodeFrame(0x01020304, 1, Buffer.from('hi')).toString('hex'), '00000002010203040100' + '6869');
  t.end();
});

t.test('FrameReader makes the same frames of whatever pieces', (t) => {
  const whole = Buffer.concat([
    encodeFrame(1, 1, Buffer.from('first')),
    encodeFrame(3, 1, Buffer.alloc(0)),
    encodeFrame(4294967295, 255, Buffer.from('third one')),
  ]);
  const wanted = [
    [1, 1, 'first'],
    [3, 1, ''],
    [4294967295, 255, 'third one'],
  ];
  for (let size = 1; size <= whole.length; size += 1) {
    const reader = new FrameReader();
    const frames: Frame[] = [];
    for (let at = 0; at < whole.length; at += size) {
      const piece = Buffer.from(whole.subarray(at, at + size));
      frames.push(...reader.push(piece));
      t.equal(reader.isInside, frames.length < 3 && ![15, 25].includes(Math.min(at + size, whole.length)));
    }
    t.strictSame(seen(frames), wanted, `pieces of ${size}`);
  }
  t.end();
});

t.test('FrameReader passes over a payload that is too long, and reads on', (t) => {
  const limit = encodeFrame(1, 1, Buffer.alloc(PAYLOAD_BYTES_MAX, 'x'));
  t.equal(new FrameReader().push(limit)[0]?.payload?.length, PAYLOAD_BYTES_MAX, 'the longest');
  const length = PAYLOAD_BYTES_MAX + 1;
  const long = Buffer.concat([encodeFrame(5, 1, Buffer.alloc(length)), encodeFrame(7, 1, Buffer.from('next'))]);
  for (const size of [10, 65_536, long.length]) {
    const reader = new FrameReader();
    const frames: Frame[] = [];
    if (size === 10) frames.push(...reader.push(Buffer.from(long.subarray(0, 10))));
    const step = size === 10 ? 1_000_003 : size;
    for (let at = size === 10 ? 10 : 0; at < long.length; at += step)
      frames.push(...reader.push(Buffer.from(long.subarray(at, at + step))));
    t.strictSame(seen(frames), [
      [5, 1, undefined],
      [7, 1, 'next'],
    ]);
    t.notOk(reader.isInside);
  }
  t.end();
});
