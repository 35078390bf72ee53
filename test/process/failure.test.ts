import t from 'tap';
import type { TsrunError } from '../../src/errors.ts';
import { stepFailure } from '../../src/process/failure.ts';
import { call, failWhen, isZero } from '../../src/program/build.ts';
import { Memory, type Program } from '../../src/program/step.ts';
import { ERRNO } from '../../src/util/errno.ts';

const word = new Memory().word('word');
const program: Program = {
  name: 'test it',
  replies: true,
  steps: [
    call('umask', [0], { label: 'do this' }),
    call('umask', [0], { label: 'do that', pointer: '/mounts/0' }),
    call('umask', [0], { label: 'x', failure: '{errno}, as said, {errno}', pointer: '/p' }),
    failWhen(isZero(word), 'ENODEV', { label: 'look' }),
    call('execve', ['/x', 0, 0], { label: 'exec: "x"', failure: 'exec: "x": {errno}', code: 'program' }),
  ],
};

t.test('stepFailure() says what was being done, and the errno', (t) => {
  const error = stepFailure(program, 0, -ERRNO.EPERM);
  t.equal(error.message, 'do this: operation not permitted: EPERM');
  t.match(error, { name: 'TsrunError', code: 'step', errno: 'EPERM' });
  t.strictSame(error.step, { index: 0, label: 'do this', call: 'umask', errno: 'EPERM' });
  t.end();
});

t.test('stepFailure() says which property asked for the step', (t) => {
  const error = stepFailure(program, 1, -ERRNO.ENOENT);
  t.equal(error.message, 'do that: no such file or directory: ENOENT (/mounts/0 of config.json)');
  t.equal(error.step?.pointer, '/mounts/0');
  t.end();
});

t.test('stepFailure() says what the step is for', (t) => {
  const step = call('umask', [0], { label: 'x', purpose: 'set sysctl' });
  t.strictSame(stepFailure({ ...program, steps: [step] }, 0, -ERRNO.EINVAL).step, {
    ...{ index: 0, label: 'x', call: 'umask', errno: 'EINVAL' },
    purpose: 'set sysctl',
  });
  t.end();
});

t.test('stepFailure() fills the text of the step in', (t) => {
  const message = (errno: number) => stepFailure(program, 2, -errno).message;
  t.equal(message(ERRNO.EACCES), 'permission denied: EACCES, as said, permission denied: EACCES (/p of config.json)');
  t.equal(message(ERRNO.EIO), 'input/output error: EIO, as said, input/output error: EIO (/p of config.json)');
  t.end();
});

t.test('stepFailure() names a check as such', (t) => {
  t.match(stepFailure(program, 3, -ERRNO.ENODEV), {
    message: 'look: no such device: ENODEV',
    step: { call: 'check', errno: 'ENODEV' },
  });
  t.end();
});

t.test('stepFailure() has the words of the C library for a program that cannot be run', (t) => {
  const texts: [keyof typeof ERRNO, string][] = [
    ['ENOENT', 'no such file or directory'],
    ['EACCES', 'permission denied'],
    ['ENOEXEC', 'exec format error'],
    ['ENOTDIR', 'not a directory'],
    ['ELOOP', 'too many levels of symbolic links'],
    ['ETXTBSY', 'text file busy'],
    ['E2BIG', 'argument list too long'],
  ];
  for (const [errno, text] of texts)
    t.strictSame(pick(stepFailure(program, 4, -ERRNO[errno])), {
      code: 'program',
      message: `exec: "x": ${text}: ${errno}`,
      errno,
    });
  t.end();
});

t.test('stepFailure() does not believe in steps that were not sent', (t) => {
  for (const index of [-1, 5])
    t.match(stepFailure(program, index, -ERRNO.EPERM), {
      code: 'init',
      message: `test it: init reports a step ${index} that was not sent: operation not permitted: EPERM`,
    });
  t.end();
});

function pick({ code, message, errno }: TsrunError): object {
  return { code, message, errno };
}
