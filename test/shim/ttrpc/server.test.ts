import t, { type Test } from 'tap';
import { Channel } from '../../../src/shim/ttrpc/channel.ts';
import { Client } from '../../../src/shim/ttrpc/client.ts';
import { decode, encode } from '../../../src/protobuf/codec.ts';
import { encodeFrame, FRAME_TYPE, PAYLOAD_BYTES_MAX, type Frame } from '../../../src/shim/wire/frames.ts';
import { CODE, REQUEST, RESPONSE, RpcError } from '../../../src/shim/wire/rpc.ts';
import { sleep } from '../../../src/sys/events/poll.ts';
import { deliver, reachUnix } from '../../../src/sys/events/unix-socket.ts';
import { serve, servicesOf } from './rig.ts';

const timeoutMs = 10_000;
const SERVICES = servicesOf({
  Echo: (payload) => Promise.resolve(payload),
  Slow: async (payload) => {
    await sleep(200);
    return payload;
  },
  Never: () => new Promise(() => undefined),
  Coded: () => Promise.reject(new RpcError(CODE.notFound, 'there is none')),
  Broken: () => Promise.reject(new Error('it went wrong')),
});

const call = (client: Client, method: string, payload = '', service = 'test.Service'): Promise<string> =>
  client.call({ service, method, payload: Buffer.from(payload), timeoutMs }).then(String);

t.test('calls are answered each as it is done, whatever the others do', async (t) => {
  const { socket } = serve(t, SERVICES);
  using client = await Client.connect(socket);
  void call(client, 'Never').catch(() => undefined);
  const done: string[] = [];
  const slow = call(client, 'Slow', 'slow').then((answer) => done.push(answer));
  const fast = Array.from({ length: 100 }, (_, index) => call(client, 'Echo', `fast ${index}`));
  t.strictSame(
    await Promise.all(fast.map((answer) => answer.then((text) => (done.push(text), text)))),
    fast.map((_, index) => `fast ${index}`),
  );
  await slow;
  t.equal(done.length, 101);
  t.equal(done.at(-1), 'slow');
});

t.test('a failure has its code, and every other one is UNKNOWN', async (t) => {
  const { socket } = serve(t, SERVICES);
  using client = await Client.connect(socket);
  await t.rejects(call(client, 'Coded'), { code: CODE.notFound, message: 'there is none' });
  await t.rejects(call(client, 'Broken'), { code: CODE.unknown, message: 'it went wrong' });
  await t.rejects(call(client, 'Nothing'), {
    code: CODE.unimplemented,
    message: 'there is no method test.Service/Nothing',
  });
  await t.rejects(call(client, 'Echo', '', 'other.Service'), { code: CODE.unimplemented });
  t.equal(await call(client, 'Echo', 'still there'), 'still there');
});

t.test('an answer of some megabytes arrives', async (t) => {
  const { socket } = serve(t, SERVICES);
  using client = await Client.connect(socket);
  const long = 'x'.repeat(PAYLOAD_BYTES_MAX - 1000);
  t.ok((await call(client, 'Echo', long)) === long);
});

t.test('a client that ends, or is cut off in the middle of a frame, leaves the others alone', async (t) => {
  const { socket } = serve(t, SERVICES);
  using client = await Client.connect(socket);
  const whole = encodeFrame(1, 1, encode(REQUEST, { service: 'test.Service', method: 'Echo' }));
  for (let length = 0; length < whole.length; length += 1) {
    using other = await reachUnix(socket, 'stream');
    if (length > 0) await deliver(other, whole.subarray(0, length));
  }
  t.equal(await call(client, 'Echo', 'still there'), 'still there');
});

t.test('streams that are even, come again, or fall are refused; types that are unknown are passed over', async (t) => {
  const { socket } = serve(t, SERVICES);
  const request = encode(REQUEST, { service: 'test.Service', method: 'Echo', payload: Buffer.from('hi') });
  const answers = await exchange(
    t,
    socket,
    [
      encodeFrame(2, FRAME_TYPE.request, request),
      encodeFrame(5, FRAME_TYPE.request, request),
      encodeFrame(5, FRAME_TYPE.request, request),
      encodeFrame(3, FRAME_TYPE.request, request),
      encodeFrame(7, FRAME_TYPE.response, request),
      encodeFrame(7, 3, request),
      encodeFrame(7, 200, request),
      encodeFrame(9, FRAME_TYPE.request, Buffer.from('garbage')),
      encodeFrame(11, FRAME_TYPE.request, Buffer.alloc(PAYLOAD_BYTES_MAX + 1)),
      encodeFrame(13, FRAME_TYPE.request, request),
    ],
    7,
  );
  t.strictSame(
    answers
      .map(({ stream, type, code }) => [stream, type, code])
      .sort(([a = 0, , x = 0], [b = 0, , y = 0]) => a - b || x - y),
    [
      [2, FRAME_TYPE.response, CODE.invalidArgument],
      [3, FRAME_TYPE.response, CODE.invalidArgument],
      [5, FRAME_TYPE.response, 0],
      [5, FRAME_TYPE.response, CODE.invalidArgument],
      [9, FRAME_TYPE.response, CODE.invalidArgument],
      [11, FRAME_TYPE.response, CODE.resourceExhausted],
      [13, FRAME_TYPE.response, 0],
    ],
  );
});

t.test('a client whose server ends, or says nothing, is told', async (t) => {
  const { socket } = serve(t, SERVICES);
  const client = await Client.connect(socket);
  const waiting = client.call({ service: 'test.Service', method: 'Never', payload: Buffer.alloc(0), timeoutMs: 20 });
  await t.rejects(waiting, { code: CODE.unavailable, message: 'no answer within 20 ms' });
  const lost = call(client, 'Never');
  client[Symbol.dispose]();
  await t.rejects(lost, { code: CODE.unavailable });
  await t.rejects(call(client, 'Echo'), { code: CODE.unavailable });
});

/** Sends these bytes and collects so many answers. */
async function exchange(t: Test, socket: string, frames: readonly Buffer[], count: number) {
  const connection = await reachUnix(socket, 'stream');
  await deliver(connection, Buffer.concat(frames));
  const channel = new Channel(connection);
  t.teardown(() => {
    channel.close();
  });
  const answers: (Pick<Frame, 'stream' | 'type'> & { readonly code: number })[] = [];
  for await (const { stream, type, payload } of channel.frames()) {
    answers.push({ stream, type, code: decode(RESPONSE, payload ?? Buffer.alloc(0)).status?.code ?? 0 });
    if (answers.length === count) break;
  }
  return answers;
}
