import t from 'tap';
import {
  addressOf,
  at,
  call,
  equals,
  failWhen,
  isNegative,
  isZero,
  not,
  repeatWhile,
  stringArray,
  unless,
  when,
  wordBlock,
} from '../../src/program/build.ts';
import { encode, stepOfFailure } from '../../src/program/encode.ts';
import { LAYOUT } from '../../src/program/layout.ts';
import { Memory, type Program, type Step } from '../../src/program/step.ts';
import { ERRNO } from '../../src/util/errno.ts';
import { AT_FDCWD, O_CLOEXEC } from '../../src/util/constants.ts';
import { NATIVE_ARCH, platformOf, RealInit, SYNC_FD, wordsOf } from './real-init.ts';

const label = { label: 'test' };

function program(...steps: readonly Step[]): Program {
  return { name: 'test', steps, replies: true };
}

/** Sends a tag and up to three words. */
function reply(tag: bigint, ...values: readonly bigint[]): Step {
  const data = [tag, ...values];
  return call('write', [SYNC_FD, wordBlock(data, `tag ${tag}`), 8 * data.length], label);
}

/** A negative errno as a word. */
function errnoWord(errno: keyof typeof ERRNO): bigint {
  return BigInt.asUintN(64, -BigInt(ERRNO[errno]));
}

for (const arch of ['x86-64', 'arm64'] as const) {
  const { skip, options } = platformOf(arch);
  t.test(`the init process on ${arch}`, { skip }, (t) => {
    const directory = t.testdir();
    const start = (): RealInit => new RealInit({ ...options, directory });

    t.test('executes operations in order and stores results', async (t) => {
      const memory = new Memory();
      const [fd, path] = [memory.word('fd'), memory.buffer('path', 64)];
      const answer = wordBlock([16, 0, 0, 0], 'answer');
      const init = start();
      const [first] = init.run(
        program(
          call('getcwd', [addressOf(path), 64], { ...label, result: at(answer, 8) }),
          call('openat', [AT_FDCWD, '/dev/null', O_CLOEXEC, 0], { ...label, result: fd }),
          call('dup3', [fd, 30, O_CLOEXEC], { ...label, result: at(answer, 16) }),
          call('close', [fd], { ...label, result: at(answer, 24) }),
          call('write', [SYNC_FD, answer, 32], label),
        ),
      );
      t.same(wordsOf(first ?? new Uint8Array()), [16n, 2n, 30n, 0n]);
      t.same(init.run(program(call('write', [SYNC_FD, addressOf(path), 8], label))), [
        new Uint8Array([0x2f, 0, 0, 0, 0, 0, 0, 0]),
      ]);
      t.equal(await init.close(), 1, 'the end of the sync pipe ends the process');
    });

    t.test('reports the operation that failed, and goes on with the next packet', async (t) => {
      const init = start();
      const failing = program(
        call('getpid', [], label),
        call('openat', [AT_FDCWD, '/no/such/file', O_CLOEXEC, 0], { ...label, accept: ['EBADF', 'ENOTDIR'] }),
        reply(16n),
      );
      const [report] = init.run(failing);
      const [tag = -1n, address = 0n, result] = wordsOf(report ?? new Uint8Array());
      t.equal(report?.length, 24);
      t.same([tag, result], [0n, errnoWord('ENOENT')]);
      const [packet] = encode(failing, { arch, syncFd: SYNC_FD });
      if (packet === undefined) throw new Error('no packet');
      t.equal(stepOfFailure(packet, Number(address)), 1);
      t.same(init.run(program(reply(17n))).map(wordsOf), [[17n]]);
      await init.close();
    });

    t.test('accepts each of four errnos, or every one', async (t) => {
      const init = start();
      const slots = ['ENOENT', 'EPERM', 'EINTR', 'EIO'] as const;
      for (const slot of [0, 1, 2, 3]) {
        const accept = slots.map((errno, index) => (index === slot ? 'EBADF' : errno));
        t.same(init.run(program(call('close', [-1], { ...label, accept }), reply(18n))).map(wordsOf), [[18n]]);
      }
      t.same(init.run(program(call('close', [-1], { ...label, accept: 'any' }), reply(19n))).map(wordsOf), [[19n]]);
      t.equal(init.run(program(call('close', [-1], { ...label, accept: [...slots] }), reply(20n)))[0]?.length, 24);
      await init.close();
    });

    t.test('skips and fails by checks', async (t) => {
      const memory = new Memory();
      const [zero, mask] = [memory.word('zero'), memory.word('mask')];
      const init = start();
      const isSkipped = (condition: Parameters<typeof unless>[0]): boolean =>
        wordsOf(
          init.run(
            program(
              call('umask', [0o27], label),
              call('umask', [0o27], { ...label, result: mask }),
              ...unless(condition, [reply(21n), call('exit_group', [9], label)]),
              ...when(condition, [reply(22n)]),
            ),
          )[0] ?? new Uint8Array(),
        )[0] === 22n;
      t.ok(isSkipped(isZero(zero)));
      t.ok(isSkipped(not(isZero(mask))));
      t.ok(isSkipped(equals(mask, 0o27n)));
      t.ok(isSkipped(equals(mask, 0o20n, { mask: 0o70n })));
      t.ok(isSkipped(equals(mask, mask)), 'the wanted value may be indirect');
      const failing = program(failWhen(equals(zero, 0n), 'ELOOP', label), reply(23n));
      t.same(wordsOf(init.run(failing)[0] ?? new Uint8Array()).slice(2), [errnoWord('ELOOP')]);
      t.same(init.run(program(failWhen(isNegative(zero), 'ELOOP', label), reply(23n))).map(wordsOf), [[23n]]);
      await init.close();
    });

    t.test('repeats steps while a check holds, and no more often than it has tries', async (t) => {
      const memory = new Memory();
      const [mask, answered] = [memory.word('mask'), wordBlock([27, 0], 'answer')];
      const init = start();
      const run = (tries: number): bigint[][] =>
        init
          .run(
            program(
              call('umask', [0], label),
              // Each duplicate has the next number: it tells how often this was executed.
              ...repeatWhile(
                not(equals(at(answered, 8), 43n)),
                [call('fcntl', [SYNC_FD, 1030, 40], { ...label, result: at(answered, 8) }), call('getpid', [], label)],
                { tries, fail: 'EAGAIN', ...label },
              ),
              call('umask', [0o22], { ...label, result: mask }),
              call('write', [SYNC_FD, answered, 16], label),
            ),
          )
          .map(wordsOf);
      const [[tag, address, result] = []] = run(2);
      t.same([tag, result], [0n, errnoWord('EAGAIN')]);
      t.equal(address, BigInt(LAYOUT.message.address + 16 + 3 * 64), 'the check is what fails');
      for (const fd of [40, 41, 42]) init.run(program(call('close', [fd], label), reply(28n)));
      t.same(run(3), [[27n, 43n]], 'the third repetition is the last that is needed and the last there is');
      for (const fd of [40, 41, 42, 43]) init.run(program(call('close', [fd], label), reply(28n)));
      t.same(run(1000), [[27n, 43n]]);
      await init.close();
    });

    t.test('ends when it cannot report a failure', async (t) => {
      const init = start();
      // The read end of a pipe takes no report, and nothing ever comes out of it.
      const ends = wordBlock([0], 'ends');
      const steps = [
        call('pipe2', [ends, O_CLOEXEC], label),
        call('dup3', [at(ends, 0), SYNC_FD, O_CLOEXEC], label),
        call('close', [-1], label),
      ];
      init.send(encode(program(...steps), { arch, syncFd: SYNC_FD })[0]?.bytes ?? new Uint8Array());
      t.equal(init.receive().length, 0);
      t.equal(await init.exit(), 1);
    });

    t.test('ends with a stored value as its exit code', async (t) => {
      const memory = new Memory();
      const mask = memory.word('mask');
      const init = start();
      init.send(
        encode(
          program(
            call('umask', [7], label),
            call('umask', [0], { ...label, result: mask }),
            call('exit_group', [mask], label),
          ),
          { arch, syncFd: SYNC_FD },
        )[0]?.bytes ?? new Uint8Array(),
      );
      t.equal(init.receive().length, 0);
      t.equal(await init.exit(), 7);
    });

    t.test('executes a program of several packets', async (t) => {
      const memory = new Memory();
      const count = memory.word('count');
      const steps = Array.from({ length: 2000 }, (_, index) =>
        call('umask', [index & 0o777], { ...label, result: count }),
      );
      const answer = wordBlock([24, 0], 'answer');
      const tail = [
        call('umask', [0], { ...label, result: at(answer, 8) }),
        call('write', [SYNC_FD, answer, 16], label),
      ];
      const init = start();
      t.same(init.run(program(...steps, ...tail)).map(wordsOf), [[24n, BigInt(1999 & 0o777)]]);
      await init.close();
    });
    t.end();
  });
}

t.test('the init process without an emulator', { skip: platformOf(NATIVE_ARCH).skip }, (t) => {
  const directory = t.testdir();

  t.test('goes on as two processes after a clone3 without a stack', async (t) => {
    const memory = new Memory();
    const pid = memory.word('pid');
    // struct clone_args: SIGCHLD as the exit signal, at 32.
    const args = wordBlock([0, 0, 0, 0, 17, 0, 0, 0], 'clone_args');
    const answer = wordBlock([26, 0], 'answer');
    const init = new RealInit({ arch: NATIVE_ARCH, directory });
    const replies = init.run(
      program(
        call('clone3', [args, 64], { ...label, result: pid }),
        ...when(isZero(pid), [reply(25n), call('exit_group', [0], label)]),
        call('fcntl', [-1, 0, 0], { ...label, accept: ['EBADF'], result: at(answer, 8) }),
        call('write', [SYNC_FD, answer, 16], label),
      ),
    );
    replies.push(init.receive());
    const sorted = replies.map(wordsOf).sort((a, b) => Number((a[0] ?? 0n) - (b[0] ?? 0n)));
    t.same(sorted, [[25n], [26n, errnoWord('EBADF')]]);
    await init.close();
  });

  t.test('executes a program whose arguments need bulk', async (t) => {
    const long = 'x'.repeat(100_000);
    const init = new RealInit({ arch: NATIVE_ARCH, directory });
    const script = 'printf "%s %s %s" "${#LONG}" "$OTHER" "${#1}"';
    const replies = init.run(
      program(
        call(
          'execve',
          [
            '/bin/sh',
            stringArray(['sh', '-c', script, 'sh', long.slice(1)]),
            stringArray([`LONG=${long}`, 'OTHER=grüße']),
          ],
          label,
        ),
      ),
    );
    t.same(replies, [new Uint8Array()], 'close-on-exec is not set on the pipe of this test, so the end closes it');
    t.equal(await init.output(), '100000 grüße 99999');
  });

  t.test('has a segment of zeros for its memory', async (t) => {
    const init = new RealInit({ arch: NATIVE_ARCH, directory });
    const ends = [LAYOUT.memory.address + 32, LAYOUT.bulk.address, LAYOUT.bulk.address + LAYOUT.bulk.size - 8];
    for (const address of ends)
      t.same(init.run(program(call('write', [SYNC_FD, address, 8], label))).map(wordsOf), [[0n]]);
    const outside = program(call('write', [SYNC_FD, LAYOUT.bulk.address + LAYOUT.bulk.size, 8], label));
    t.equal(wordsOf(init.run(outside)[0] ?? new Uint8Array())[2], errnoWord('EFAULT'));
    await init.close();
  });
  t.end();
});
