import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { writeFully } from '../../../src/sys/io.ts';
import { pipe } from '../../../src/sys/pipe.ts';
import { pollReadable, waitAny, waitReadable } from '../../../src/sys/events/poll.ts';
import { POLLIN } from '../../../src/util/constants.ts';
import { receiveMessage, socketPair } from '../../../src/sys/socket.ts';

const openCount = (): number => readdirSync('/proc/self/fd').length;

t.test('pollReadable() and waitReadable() tell when something is there', async (t) => {
  const [ours, theirs] = socketPair('stream');
  using _ours = ours;
  t.equal(pollReadable(ours.number, 0), false);
  t.equal(await waitReadable(ours.number, 1), false);
  const waiting = waitReadable(ours.number);
  writeFully(theirs.number, Buffer.from('x'));
  t.equal(await waiting, true);
  t.equal(pollReadable(ours.number, 0), true);
  receiveMessage(ours.number, 10);
  theirs.close();
  t.equal(await waitReadable(ours.number), true, 'the end can be read as well');
});

t.test('waitAny() tells which of them, and pipe() ends when its writer is closed', async (t) => {
  const [first, firstWriter] = pipe();
  const [second, secondWriter] = pipe();
  using _first = first;
  using _second = second;
  const both = [first.number, second.number];
  const interests = both.map((fd) => ({ fd, events: POLLIN }));
  t.same(await waitAny(interests, 0), []);
  writeFully(secondWriter.number, Buffer.from('x'));
  t.same(await waitAny(interests), [second.number]);
  firstWriter.close();
  t.same(await waitAny(interests), both, 'the end counts as well');
  secondWriter.close();
});

t.test('many waits leave the threads of the pool to others, and end one by one', async (t) => {
  const before = openCount();
  const pipes = Array.from({ length: 20 }, () => pipe());
  const ended: number[] = [];
  const waits = pipes.map(async ([reader], index) => {
    t.equal(await waitReadable(reader.number), true);
    ended.push(index);
  });
  const late = waitReadable(pipes[0]?.[0].number ?? -1, 50);
  t.match(await readFile('/proc/self/comm', 'utf8'), /./, 'a file is read meanwhile');
  t.equal(await late, false, 'a time limit of its own, on a descriptor that another waits for');
  t.strictSame(ended, []);
  const order = [7, 19, 0, ...pipes.keys()].filter((index, at, all) => all.indexOf(index) === at);
  for (const index of order) {
    pipes[index]?.[1].close();
    await waits[index];
  }
  t.strictSame(ended, order);
  for (const [reader] of pipes) reader.close();
  t.equal(openCount(), before, 'and leave no descriptor');
});

t.test('waits that are begun at the same time share a descriptor', async (t) => {
  const [reader, writer] = pipe();
  using _reader = reader;
  const waits = [waitReadable(reader.number), waitReadable(reader.number, 60_000), waitReadable(reader.number, 0)];
  t.equal(await waits[2], false);
  writer.close();
  t.strictSame(await Promise.all(waits), [true, true, false]);
});

t.test('waitAny() ends with the reason of a signal, and lets go of what it waited for', async (t) => {
  const [reader, writer] = pipe();
  const aborting = new AbortController();
  const waiting = waitAny([{ fd: reader.number, events: POLLIN }], -1, { signal: aborting.signal });
  aborting.abort(new Error('no more'));
  await t.rejects(waiting, { message: 'no more' });
  await t.rejects(waitAny([], 0, { signal: aborting.signal }), { message: 'no more' });
  writer.close();
  t.same(await waitAny([{ fd: reader.number, events: POLLIN }]), [reader.number]);
  reader.close();
});

t.test('a weak wait alone keeps no process from ending', (t) => {
  const script = `
    import { waitAny } from ${JSON.stringify(fileURLToPath(new URL('../../../dist/lib/sys/events/poll.js', import.meta.url)))};
    import { pipe } from ${JSON.stringify(fileURLToPath(new URL('../../../dist/lib/sys/pipe.js', import.meta.url)))};
    const [reader] = pipe();
    void waitAny([{ fd: reader.number, events: 1 }], -1, { isWeak: true });
    await waitAny([], 5);
  `;
  const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 20_000 });
  t.same({ status, signal }, { status: 0, signal: null });
  t.end();
});
