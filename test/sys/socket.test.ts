import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { someTurns } from '../fixtures/turns.ts';
import { OwnedFd } from '../../src/sys/fd.ts';
import { openFile } from '../../src/sys/file.ts';
import { writeFully } from '../../src/sys/io.ts';
import { deliver, reachUnix } from '../../src/sys/events/unix-socket.ts';
import { connectUnix, listenUnix, receiveMessage, sendMessage, socketPair } from '../../src/sys/socket.ts';
import { bindLibc } from '../../src/sys/library.ts';
import { O_RDONLY } from '../../src/util/constants.ts';

const accept = bindLibc('int accept(int fd, void *address, void *length)');
const directory = mkdtempSync(path.join(os.tmpdir(), 'tsrun-test-'));
t.teardown(() => {
  rmSync(directory, { recursive: true, force: true });
});

const openCount = () => readdirSync('/proc/self/fd').length;

t.test('sendMessage() and receiveMessage() keep the bounds of messages', (t) => {
  const [ours, theirs] = socketPair('seqpacket');
  using _ours = ours;
  using _theirs = theirs;
  for (const text of ['one', 'two two', '']) sendMessage(ours.number, Buffer.from(text));
  t.equal(receiveMessage(theirs.number, 100).bytes.toString(), 'one');
  t.equal(receiveMessage(theirs.number, 7).bytes.toString(), 'two two');
  t.equal(receiveMessage(theirs.number, 100).bytes.length, 0);
  t.end();
});

t.test('receiveMessage() refuses a message that is too long, and keeps none of its descriptors', (t) => {
  const [ours, theirs] = socketPair('seqpacket');
  using _ours = ours;
  using _theirs = theirs;
  sendMessage(ours.number, Buffer.from('too long'), [0, 1]);
  const before = openCount();
  t.throws(() => receiveMessage(theirs.number, 3), { code: 'host', message: 'receive a message: longer than 3 bytes' });
  t.equal(openCount(), before);
  t.end();
});

t.test('sendMessage() passes descriptors, which arrive in order', (t) => {
  const [ours, theirs] = socketPair('stream');
  using _ours = ours;
  using _theirs = theirs;
  using nothing = openFile('/dev/null', O_RDONLY);
  using zero = openFile('/dev/zero', O_RDONLY);
  for (const sent of [[nothing], [nothing, zero], [zero, nothing, zero]]) {
    sendMessage(
      ours.number,
      Buffer.from('x'),
      sent.map(({ number }) => number),
    );
    const { descriptors } = receiveMessage(theirs.number, 10);
    t.same(
      descriptors.map(({ number }) => readlinkSync(`/proc/self/fd/${number}`)),
      sent.map(({ number }) => readlinkSync(`/proc/self/fd/${number}`)),
    );
    for (const descriptor of descriptors) descriptor.close();
  }
  const many = Array.from({ length: 253 }, () => nothing.number);
  sendMessage(ours.number, Buffer.from('x'), many);
  const { descriptors } = receiveMessage(theirs.number, 10);
  t.equal(descriptors.length, 253);
  for (const descriptor of descriptors) descriptor.close();
  t.end();
});

t.test('sendMessage() says that the other side is gone, without a signal', (t) => {
  const [ours, theirs] = socketPair('seqpacket');
  using _ours = ours;
  theirs.close();
  t.throws(
    () => {
      sendMessage(ours.number, Buffer.from('x'));
    },
    { code: 'host', errno: 'EPIPE' },
  );
  t.equal(receiveMessage(ours.number, 10).bytes.length, 0);
  t.end();
});

t.test('connectUnix() reaches the one that listens', (t) => {
  const file = path.join(directory, 'socket');
  using listener = listenUnix(file, 'seqpacket');
  using client = connectUnix(file, 'seqpacket');
  using server = new OwnedFd(accept(listener.number, null, null));
  sendMessage(client.number, Buffer.from('hello'));
  t.equal(receiveMessage(server.number, 10).bytes.toString(), 'hello');
  t.end();
});

t.test('listenUnix() and connectUnix() name the path when they fail, and keep nothing open', (t) => {
  const before = openCount();
  const file = path.join(directory, 'taken');
  listenUnix(file, 'stream').close();
  t.throws(() => listenUnix(file, 'stream'), {
    errno: 'EADDRINUSE',
    message: `bind socket ${JSON.stringify(file)}: address already in use: EADDRINUSE`,
  });
  t.throws(() => connectUnix(file, 'stream'), { code: 'host', errno: 'ECONNREFUSED' });
  t.throws(() => connectUnix(path.join(directory, 'missing'), 'stream'), { code: 'host', errno: 'ENOENT' });
  const long = `/${'x'.repeat(107)}`;
  t.throws(() => connectUnix(long, 'stream'), { message: `socket path "${long}" has 108 bytes, wanted less than 108` });
  t.equal(openCount(), before);
  t.end();
});

t.test('writeFully() names the descriptor when it fails', (t) => {
  t.throws(
    () => {
      writeFully(9999, Buffer.from('abc'));
    },
    { code: 'host', errno: 'EBADF', message: 'write 3 bytes to descriptor 9999: bad file descriptor: EBADF' },
  );
  t.end();
});

t.test('listenUnix() and connectUnix() speak datagrams, also by abstract names', (t) => {
  for (const name of [path.join(directory, 'datagram.sock'), `@tsrun-test-${process.pid}`]) {
    using receiver = listenUnix(name, 'datagram');
    using sender = connectUnix(name, 'datagram');
    for (const text of ['one', 'two']) sendMessage(sender.number, Buffer.from(text));
    t.equal(receiveMessage(receiver.number, 10).bytes.toString(), 'one', name);
    t.equal(receiveMessage(receiver.number, 10).bytes.toString(), 'two', name);
  }
  t.end();
});

t.test('reachUnix() waits for one whose backlog is full, and the event loop goes on', async (t) => {
  const file = path.join(directory, 'busy');
  using listener = listenUnix(file, 'stream');
  // A backlog of 1 takes two.
  const filling = [connectUnix(file, 'stream'), connectUnix(file, 'stream')];
  t.throws(() => connectUnix(file, 'stream', { nonBlocking: true }), { code: 'host', errno: 'EAGAIN' });
  const reaching = reachUnix(file, 'stream');
  await someTurns();
  for (let index = 0; index < filling.length; index++) new OwnedFd(accept(listener.number, null, null)).close();
  using client = await reaching;
  using server = new OwnedFd(accept(listener.number, null, null));
  await deliver(client, Buffer.from('hello'));
  t.equal(receiveMessage(server.number, 10).bytes.toString(), 'hello');
  for (const fd of filling) fd.close();
});

t.test('deliver() waits for room', async (t) => {
  const file = path.join(directory, 'slow');
  using listener = listenUnix(file, 'stream');
  using client = await reachUnix(file, 'stream');
  using server = new OwnedFd(accept(listener.number, null, null));
  const size = 1024 * 1024;
  let isDone = false;
  const delivering = deliver(client, Buffer.alloc(size)).then(() => (isDone = true));
  await new Promise((resolve) => setTimeout(resolve, 10));
  t.notOk(isDone);
  let received = 0;
  while (received < size) {
    received += receiveMessage(server.number, size).bytes.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await delivering;
});
