import t from 'tap';
import { Client } from '../../../src/shim/ttrpc/client.ts';
import { decode, encode, WireError, type Fields } from '../../../src/protobuf/codec.ts';
import { METRICS_V1, METRICS_V2 } from '../../../src/shim/wire/metrics.ts';
import { encodeFrame, FrameReader } from '../../../src/shim/wire/frames.ts';
import { REQUEST, RESPONSE } from '../../../src/shim/wire/rpc.ts';
import { METHODS, RUNC_OPTIONS, RUNTIME_OPTIONS } from '../../../src/shim/wire/task.ts';
import { deliver, reachUnix } from '../../../src/sys/events/unix-socket.ts';
import { hasErrno } from '../../../src/sys/errno.ts';
import { randomFrom } from '../../security/mutate.ts';
import { serve, servicesOf } from './rig.ts';

/** `TSRUN_FUZZ_SEED` starts elsewhere; the seed of a mutant is in its failure. */
const SEED = Number(process.env.TSRUN_FUZZ_SEED ?? 1);
const FACTOR = Number(process.env.TSRUN_FUZZ_FACTOR ?? 1);

const create = encode(METHODS.Create.request, {
  id: 'container',
  bundle: '/run/bundle',
  rootfs: [{ type: 'overlay', source: 'overlay', options: ['index=off', 'lowerdir=/a:/b'] }],
  terminal: true,
  stdout: '/run/containerd/fifo/1/container-stdout',
  options: { typeUrl: 'containerd.runc.v1.Options', value: encode(RUNC_OPTIONS, { systemdCgroup: true, ioUid: 1 }) },
});
const request = encode(REQUEST, {
  service: 'test.Service',
  method: 'Create',
  payload: create,
  timeoutNs: 10n ** 18n,
  metadata: [{ key: 'containerd-namespace-ttrpc', value: 'default' }],
});

/** Tables with a message of each. */
const MESSAGES: readonly (readonly [Fields, Buffer])[] = [
  [METHODS.Create.request, create],
  [REQUEST, request],
  [RESPONSE, encode(RESPONSE, { status: { code: 5, message: 'none' }, payload: create })],
  [RUNTIME_OPTIONS, encode(RUNTIME_OPTIONS, { typeUrl: 'a', configPath: '/b', configBody: Buffer.from('{}') })],
  [METRICS_V1, encode(METRICS_V1, { pids: { current: 1 }, cpu: { usage: { total: 2n ** 60n, percpu: [1, 2, 3] } } })],
  [METRICS_V2, encode(METRICS_V2, { memory: { anon: 5, usage: 7 }, io: { usage: [{ major: 8, readBytes: 4096 }] } })],
  [METHODS.State.response, encode(METHODS.State.response, { id: 'a', pid: 3, exitedAt: { seconds: -62135596800 } })],
];

t.test('damaged messages are read or refused, and nothing else', (t) => {
  const counts = { read: 0, refused: 0 };
  for (let index = 0; index < 20_000 * FACTOR; index += 1) {
    const random = randomFrom(SEED + index);
    const [table, message] = MESSAGES[index % MESSAGES.length] ?? [{}, Buffer.alloc(0)];
    const bytes = damage(message, random);
    try {
      // What was read can be written, and is the same when it is read again.
      const value = decode(table, bytes);
      const again = encode(table, value);
      if (!encode(table, decode(table, again)).equals(again)) t.fail(`seed ${SEED + index}: it reads differently`);
      counts.read += 1;
    } catch (error) {
      if (!(error instanceof WireError)) t.fail(`seed ${SEED + index}: ${String(error)}`);
      counts.refused += 1;
    }
  }
  t.comment(JSON.stringify(counts));
  t.ok(counts.read > 1000 && counts.refused > 1000, 'both happen often');
  t.end();
});

t.test('damaged frames in pieces are read or passed over', (t) => {
  const frames = Buffer.concat([1, 3, 5].map((stream) => encodeFrame(stream, 1, request)));
  for (let index = 0; index < 5_000 * FACTOR; index += 1) {
    const random = randomFrom(SEED + index);
    const bytes = damage(frames, random);
    const reader = new FrameReader();
    let length = 0;
    for (let at = 0; at < bytes.length;) {
      const size = 1 + (random() % 200);
      for (const { payload } of reader.push(Buffer.from(bytes.subarray(at, at + size))))
        length += 10 + (payload?.length ?? 0);
      at += size;
    }
    if (length > bytes.length) t.fail(`seed ${SEED + index}: ${length} bytes were made of ${bytes.length}`);
  }
  t.pass('none made more of them than there was');
  t.end();
});

t.test('a server that is sent garbage serves the others', async (t) => {
  let calls = 0;
  const { socket } = serve(
    t,
    servicesOf({
      Create: (payload) => {
        calls += 1;
        decode(METHODS.Create.request, payload);
        return Promise.resolve(payload);
      },
    }),
  );
  using client = await Client.connect(socket);
  const whole = Buffer.concat([1, 3, 5].map((stream) => encodeFrame(stream, 1, request)));
  for (let index = 0; index < 5_000 * FACTOR; index += 1) {
    using other = await reachUnix(socket, 'stream');
    try {
      await deliver(other, damage(whole, randomFrom(SEED + index)));
    } catch (error) {
      if (!hasErrno(error, 'EPIPE', 'ECONNRESET')) throw error;
    }
    if (index % 500 !== 0) continue;
    const answer = await client.call({ service: 'test.Service', method: 'Create', payload: create, timeoutMs: 60_000 });
    if (!answer.equals(create)) t.fail(`seed ${SEED + index}: another one's answer`);
  }
  t.ok(calls > 1000, 'some of it could be carried out');
});

/** The same bytes with some of them changed, left out, doubled or cut off. */
function damage(bytes: Buffer, random: () => number): Buffer {
  let damaged = Buffer.from(bytes);
  for (let rounds = 1 + (random() % 4); rounds > 0; rounds -= 1) {
    const at = damaged.length === 0 ? 0 : random() % damaged.length;
    const length = random() % 16;
    const kind = random() % 6;
    if (kind === 0) damaged[at] = random() & 0xff;
    else if (kind === 1) damaged[at] = (damaged[at] ?? 0) ^ (1 << (random() % 8));
    else if (kind === 2) damaged = Buffer.concat([damaged.subarray(0, at), damaged.subarray(at + length)]);
    else if (kind === 3) damaged = Buffer.concat([damaged.subarray(0, at + length), damaged.subarray(at)]);
    else if (kind === 4) damaged = damaged.subarray(0, at);
    else damaged.subarray(at, at + length).fill(0xff);
  }
  return damaged;
}
