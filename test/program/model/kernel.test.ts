import t from 'tap';
import { addressOf, block, call, stringArray, wordBlock } from '../../../src/program/build.ts';
import { ModelKernel } from '../../../src/program/model/kernel.ts';
import { ModelMemory } from '../../../src/program/model/memory.ts';
import { simulate } from '../../../src/program/model/simulate.ts';
import { Memory, type CallStep } from '../../../src/program/step.ts';

const SYNC = 3;
const label = { label: 'test' };
const AT_FDCWD = -100;

function run(kernel: ModelKernel, steps: readonly CallStep[]): { results: number[]; replies: number[][] } {
  const program = { name: 'test', steps: steps.map((step) => ({ ...step, accept: 'any' as const })), replies: false };
  const { trace, replies } = simulate(program, kernel, { arch: 'x86-64', syncFd: SYNC });
  return { results: trace.map(({ result }) => Number(result)), replies: replies.map((reply) => [...reply]) };
}

t.test('the model kernel gathers replies', (t) => {
  const part = (...bytes: number[]): ReturnType<typeof block> => block(Uint8Array.from(bytes), '{}');
  const vector = wordBlock([part(1, 2, 3), 3, part(4, 5), 2], '{}');
  const { results, replies } = run(new ModelKernel({ syncFd: SYNC }), [
    call('writev', [SYNC, vector, 2], label),
    call('sendmsg', [SYNC, wordBlock([0, 0, vector, 1, 0, 0, 0], '{}'), 0], label),
    call('writev', [SYNC, vector, 5000], label),
    call('writev', [SYNC, wordBlock([vector, 1n << 40n], '{}'), 1], label),
  ]);
  t.same(results, [5, 3, -22, -22]);
  t.same(replies, [
    [1, 2, 3, 4, 5],
    [1, 2, 3],
  ]);
  t.end();
});

t.test('the model kernel keeps what is written to files, their modes and owners', (t) => {
  const memory = new Memory();
  const [fd, stat] = [memory.word('fd'), memory.buffer('stat', 256)];
  const kernel = new ModelKernel({ syncFd: SYNC, tree: { file: '' } });
  const { results, replies } = run(kernel, [
    call('openat', [AT_FDCWD, '/file', 1, 0], { ...label, result: fd }),
    call('write', [fd, block(Uint8Array.of(7, 8), '{}'), 2], label),
    call('fchmod', [fd, 0o600], label),
    call('fchown', [fd, 1000, -1], label),
    call('fchownat', [AT_FDCWD, '/file', -1, 5, 0], label),
    call('fchmodat', [AT_FDCWD, '/none', 0o600], label),
    call('mknodat', [AT_FDCWD, '/null', 0o020666, 0x10203], label),
    call('statx', [AT_FDCWD, '/null', 0, 0x7ff, addressOf(stat)], label),
    call('write', [SYNC, addressOf(stat, 128), 8], label),
    call('statx', [fd, '', 0x1000, 0x7ff, addressOf(stat)], label),
    call('write', [SYNC, addressOf(stat, 16), 16], label),
    call('mknodat', [AT_FDCWD, '/null', 0o020666, 0], label),
  ]);
  t.same(results, [4, 2, 0, 0, 0, -2, 0, 0, 8, 0, 16, -17]);
  t.same(kernel.root.entries.get('file')?.writes, [Uint8Array.of(7, 8)]);
  t.same(replies, [
    [2, 1, 0, 0, 3, 0, 0, 0],
    [0, 0, 0, 0, 0xe8, 3, 0, 0, 5, 0, 0, 0, 0x80, 0x81, 0, 0],
  ]);
  t.end();
});

t.test('the model kernel tells devices and file systems', (t) => {
  const kernel = new ModelKernel({
    syncFd: SYNC,
    tree: { dev: { null: 'c 1:3', pts: {} } },
    filesystems: { devpts: { ptmx: 'c 5:2' } },
  });
  const memory = new Memory();
  const [fd, stat] = [memory.word('fd'), memory.buffer('stat', 256)];
  const { results, replies } = run(kernel, [
    call('statx', [AT_FDCWD, '/dev/null', 0, 0x7ff, addressOf(stat)], label),
    call('write', [SYNC, addressOf(stat, 128), 8], label),
    call('mount', ['devpts', '/dev/pts', 'devpts', 0, 0], label),
    call('openat', [AT_FDCWD, '/dev/pts/ptmx', 0o10000000, 0], { ...label, result: fd }),
    call('fstatfs', [fd, addressOf(stat)], label),
    call('write', [SYNC, addressOf(stat), 8], label),
    call('ioctl', [0, 0x5441, 0], label),
    call('ioctl', [0, 0x540e, 0], label),
    call('ioctl', [99, 0x540e, 0], label),
  ]);
  t.same(results, [0, 8, 0, 4, 0, 8, 5, 0, -9]);
  t.same(replies, [
    [1, 0, 0, 0, 3, 0, 0, 0],
    [0xd1, 0x1c, 0, 0, 0, 0, 0, 0],
  ]);
  t.end();
});

t.test('the model kernel has calls on the process', (t) => {
  const kernel = new ModelKernel({ syncFd: SYNC, tree: { bin: { sh: '' } }, pid: 77 });
  const memory = new Memory();
  const copy = memory.word('copy');
  const { results } = run(kernel, [
    call('getpid', [], label),
    call('fcntl', [SYNC, 1030, 10], { ...label, result: copy }),
    call('fcntl', [SYNC, 1, 0], label),
    call('socket', [1, 5, 0], label),
    call('accept4', [4, 0, 0, 0], label),
    call('setns', [99, 0], label),
    call('setns', [copy, 0], label),
    call('chdir', ['/bin/sh'], label),
    call('execve', ['/bin', stringArray([]), 0], label),
    call('close_range', [4, 20, 4], label),
    call('close_range', [4, 20, 0], label),
    call('close', [copy], label),
    call('read', [0, addressOf(copy), 8], label),
    call('setresuid', [1, 2, 3], label),
  ]);
  t.same(results, [77, 10, 0, 4, 5, -9, 0, -20, -13, 0, 0, -9, 0, 0]);
  t.same(kernel.attributes.get('setresuid')?.slice(0, 3), [1n, 2n, 3n]);
  t.end();
});

t.test('the model kernel has a limit of descriptors', (t) => {
  const kernel = new ModelKernel({ syncFd: SYNC });
  const { results } = run(kernel, [call('fcntl', [SYNC, 1030, 1023], label), call('fcntl', [SYNC, 1030, 1023], label)]);
  t.same(results, [1023, -24]);
  t.end();
});

t.test("ModelMemory has init's addresses and nothing else", (t) => {
  const memory = new ModelMemory();
  memory.writeWord(0x1050_fff8n, -1n);
  t.equal(memory.readWord(0x1050_fff8n), (1n << 64n) - 1n);
  for (const address of [0n, 0x100f_ffffn, 0x1051_0000n, 0x1050_fff9n, (1n << 64n) - 1n])
    t.throws(() => memory.readWord(address), { message: `no memory at 0x${address.toString(16)}` });
  memory.write(0x1010_0000n, Uint8Array.of(0x61, 0x62, 0, 0xff));
  t.equal(memory.readText(0x1010_0000n), 'ab');
  t.equal(memory.readText(0x1010_0003n), '', 'no UTF-8');
  t.same(
    [1, 2, 4].map((size) => memory.readNumber(0x1010_0000n, size as 1 | 2 | 4)),
    [0x61, 0x6261, 0xff00_6261],
  );
  t.end();
});
