import fc from 'fast-check';
import t from 'tap';
import {
  addressOf,
  at,
  call,
  equals,
  failWhen,
  isNegative,
  isZero,
  repeatWhile,
  stringArray,
  unless,
  when,
  wordBlock,
} from '../../../src/program/build.ts';
import { encode } from '../../../src/program/encode.ts';
import { ModelKernel } from '../../../src/program/model/kernel.ts';
import { ModelInit, simulate } from '../../../src/program/model/simulate.ts';
import { Memory, type Program, type Step } from '../../../src/program/step.ts';
import { anySteps, harmlessSteps } from '../arbitraries.ts';

const SYNC = 3;
const OPTIONS = { arch: 'x86-64', syncFd: SYNC } as const;
const label = { label: 'test' };

function program(...steps: readonly Step[]): Program {
  return { name: 'test', steps, replies: true };
}

function reply(tag: bigint): Step {
  return call('write', [SYNC, wordBlock([tag], `tag ${tag}`), 8], label);
}

function kernel(): ModelKernel {
  return new ModelKernel({ syncFd: SYNC, tree: { dev: { null: '' }, bin: { true: '' } } });
}

function wordsOf(bytes: Uint8Array): bigint[] {
  return [...new BigInt64Array(bytes.slice().buffer)];
}

t.test('simulate() traces every operation with the values that were passed', (t) => {
  const fd = new Memory().word('fd');
  const { trace, replies, end, failure } = simulate(
    program(
      call('openat', [-100, '/dev/null', 0, 0], { ...label, result: fd }),
      ...when(isNegative(fd), [call('exit_group', [1], label)]),
      call('close', [fd], label),
      reply(16n),
    ),
    kernel(),
    OPTIONS,
  );
  t.same(
    trace.map(({ step, call, result }) => [step, call, result]),
    [
      [0, 'openat', 4n],
      [1, 'check', 1n],
      [3, 'close', 0n],
      [4, 'write', 8n],
    ],
  );
  t.equal(trace[2]?.args[0], 4n);
  t.same(replies.map(wordsOf), [[16n]]);
  t.same(end, { state: 'waiting' });
  t.equal(failure, undefined);
  t.end();
});

t.test('simulate() fails the step that it is told to', (t) => {
  const steps = [call('getpid', [], label), call('umask', [0], { ...label, accept: ['EIO'] as const }), reply(16n)];
  const failed = simulate(program(...steps), kernel(), { ...OPTIONS, fail: { step: 0, errno: 'ENOSYS' } });
  t.same(failed.failure, { step: 0, errno: 38 });
  t.same(failed.replies.map(wordsOf), [[0n, 0x1010_1010n, -38n]]);
  t.same(failed.end, { state: 'waiting' });
  t.equal(failed.trace.length, 1);
  const accepted = simulate(program(...steps), kernel(), { ...OPTIONS, fail: { step: 1, errno: 'EIO' } });
  t.equal(accepted.failure, undefined);
  t.equal(accepted.trace[1]?.result, -5n);
  t.same(accepted.replies.map(wordsOf), [[16n]]);
  t.end();
});

t.test('simulate() fails by a check', (t) => {
  const word = new Memory().word('word');
  const { failure, replies } = simulate(program(failWhen(isZero(word), 'ELOOP', label), reply(16n)), kernel(), OPTIONS);
  t.same(failure, { step: 0, errno: 40 });
  t.same(replies.map(wordsOf), [[0n, 0x1010_1010n, -40n]]);
  t.end();
});

/** Opens a file again as long as the kernel answers EAGAIN, which it does `busy` times. */
function openAgain(busy: number) {
  const fd = new Memory().word('fd');
  const open = call('openat', [-100, '/dev/null', 0, 0], { ...label, accept: ['EAGAIN'], result: fd });
  const isBusy = equals(fd, BigInt.asUintN(64, -11n));
  const steps = repeatWhile(isBusy, [open], { tries: 3, fail: 'EAGAIN', label: 'open' });
  const model = kernel();
  const original = model.call.bind(model);
  let calls = 0;
  model.call = (name, ...rest) => (name === 'openat' && ++calls <= busy ? -11n : original(name, ...rest));
  const init = new ModelInit(model, OPTIONS);
  return { run: () => init.run(encode(program(...steps, reply(16n)), OPTIONS)), calls: () => calls };
}

t.test('simulate() repeats steps while a check holds, and no more often than it has tries', (t) => {
  for (const busy of [0, 1, 3]) {
    const { run, calls } = openAgain(busy);
    const { replies, failure, trace } = run();
    t.equal(failure, undefined, `${busy} times busy`);
    t.equal(calls(), busy + 1);
    t.same(replies.map(wordsOf), [[16n]]);
    t.equal(trace.filter(({ call, result }) => call === 'check' && result === -2n).length, busy);
  }
  const { run, calls } = openAgain(4);
  const { replies, failure } = run();
  t.same(failure, { step: 1, errno: 11 });
  t.equal(calls(), 4);
  t.same(replies.map(wordsOf), [[0n, 0x1010_1050n, -11n]]);
  t.equal(run().failure, undefined, 'the next packet has all its tries again');
  t.end();
});

t.test('simulate() ends where a failure cannot be reported', (t) => {
  const model = kernel();
  const original = model.call.bind(model);
  model.call = (name, ...rest) => (name === 'write' ? -1n : original(name, ...rest));
  const { end, failure } = simulate(program(call('close', [-1], label), reply(16n)), model, OPTIONS);
  t.same(end, { state: 'exited', code: 1 });
  t.same(failure, { step: 0, errno: 9 });
  t.end();
});

t.test('simulate() ends with exit_group and execve', (t) => {
  t.same(simulate(program(call('exit_group', [259], label)), kernel(), OPTIONS).end, { state: 'exited', code: 3 });
  const run = (path: string): Program => program(call('execve', [path, stringArray(['x']), 0], label));
  t.same(simulate(run('/bin/true'), kernel(), OPTIONS).end, { state: 'executed', path: '/bin/true' });
  t.same(simulate(run('/bin/false'), kernel(), OPTIONS).failure, { step: 0, errno: 2 });
  t.same(simulate(run('/bin/true'), kernel(), { ...OPTIONS, fail: { step: 0, errno: 'EACCES' } }).failure, {
    step: 0,
    errno: 13,
  });
  t.end();
});

t.test('simulate() takes the branch of the process that clone3 chose', (t) => {
  const pid = new Memory().word('pid');
  const steps = program(
    call('clone3', [wordBlock([0], '{}'), 64], { ...label, result: pid }),
    ...unless(isZero(pid), [reply(17n), call('exit_group', [0], label)]),
    reply(18n),
  );
  const clone = (clones: number[]): unknown => {
    const { replies, end } = simulate(steps, new ModelKernel({ syncFd: SYNC, clones }), OPTIONS);
    return [replies.map(wordsOf), end];
  };
  t.same(clone([42]), [[[17n]], { state: 'exited', code: 0 }]);
  t.same(clone([]), [[[18n]], { state: 'waiting' }]);
  t.end();
});

t.test('simulate() sends packets and payloads as they are asked for', (t) => {
  const long = Array.from({ length: 1500 }, () => call('getpid', [], label));
  const { trace, replies } = simulate(program(...long, reply(16n)), kernel(), OPTIONS);
  t.equal(trace.filter(({ step }) => step >= 0).length, 1501);
  t.same(replies.map(wordsOf), [[16n]]);
  const args = stringArray(['true', 'x'.repeat(200_000)]);
  const big = simulate(program(call('execve', ['/bin/true', args, 0], label)), kernel(), OPTIONS);
  t.same(big.end, { state: 'executed', path: '/bin/true' });
  t.same(big.replies, []);
  t.end();
});

t.test('simulate() ends where init would die, or would never end', (t) => {
  const memory = new Memory();
  const word = memory.word('word');
  const [packet] = encode(program(call('close', [word], label)), OPTIONS);
  if (packet === undefined) throw new Error('no packet');
  new DataView(packet.bytes.buffer, packet.bytes.byteOffset).setBigUint64(16 + 8, 5n, true);
  t.same(new ModelInit(kernel(), OPTIONS).run([packet]).end, { state: 'crashed', address: 5n });
  // 2^58 - 1 operations of 64 bytes are -64 bytes: back to the operation before, and one on.
  const mask = call('umask', [0], label);
  const check = { ...failWhen(isZero(word), 'EIO', label), then: { skip: 2 ** 58 - 1 } };
  t.throws(() => encode(program(mask, check), OPTIONS), RangeError);
  const [endless] = encode(program(mask, { ...check, then: { skip: 0 } }), OPTIONS);
  if (endless === undefined) throw new Error('no packet');
  new DataView(endless.bytes.buffer, endless.bytes.byteOffset).setBigUint64(16 + 64 + 32, (1n << 58n) - 1n, true);
  t.same(new ModelInit(kernel(), OPTIONS).run([endless]).end, { state: 'endless' });
  t.end();
});

t.test('ModelInit keeps memory and kernel from one program to the next', (t) => {
  const memory = new Memory();
  const [fd, buffer] = [memory.word('fd'), memory.buffer('buffer', 16)];
  const init = new ModelInit(kernel(), OPTIONS);
  const run = (...steps: Step[]): bigint[][] => init.run(encode(program(...steps), OPTIONS)).replies.map(wordsOf);
  t.same(run(call('openat', [-100, '/dev', 0, 0], { ...label, result: fd }), reply(16n)), [[16n]]);
  const answer = wordBlock([17, 0], '{}');
  t.same(
    run(
      call('openat', [fd, 'null', 0, 0], { ...label, result: at(answer, 8) }),
      call('write', [SYNC, answer, 16], label),
    ),
    [[17n, 5n]],
  );
  t.same(run(call('getcwd', [addressOf(buffer), 16], label), call('write', [SYNC, addressOf(buffer), 8], label)), [
    [0x2fn],
  ]);
  t.equal(init.memory.readText(0x1010_0028n), '/');
  t.end();
});

t.test('simulate() gives EFAULT for addresses outside of the memory, and ENOSYS for calls it does not know', (t) => {
  t.same(simulate(program(call('write', [SYNC, 8, 8], label)), kernel(), OPTIONS).failure, { step: 0, errno: 14 });
  const [packet] = encode(program(call('getpid', [], label)), OPTIONS);
  packet?.bytes.fill(0xee, 16, 18);
  t.same(new ModelInit(kernel(), OPTIONS).run(packet === undefined ? [] : [packet]).failure, { step: 0, errno: 38 });
  t.end();
});

t.test('simulate() answers any program', (t) => {
  fc.assert(
    fc.property(fc.oneof(anySteps, harmlessSteps(SYNC)), (steps) => {
      const { end, failure } = simulate(program(...steps), kernel(), OPTIONS);
      return end.state !== 'endless' && (failure === undefined || failure.errno > 0);
    }),
    { numRuns: 500 },
  );
  t.pass('500 programs');
  t.end();
});
