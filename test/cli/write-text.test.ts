import { closeSync, openSync, readFileSync, type writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { writeText } from '../../src/cli/write-text.ts';

t.test('writeText() writes all, whatever the descriptor takes at once', (t) => {
  const taken: string[] = [];
  let turn = 0;
  const write = ((_fd: number, bytes: Buffer) => {
    if (turn++ % 2 === 0) throw Object.assign(new Error('full'), { code: 'EAGAIN' });
    taken.push(bytes.subarray(0, 3).toString('latin1'));
    return Math.min(3, bytes.length);
  }) as typeof writeSync;
  writeText(1, 'abcdefgh', write);
  t.strictSame(taken, ['abc', 'def', 'gh']);
  t.end();
});

t.test('writeText() is content with a reader that went away', (t) => {
  const write = (() => {
    throw Object.assign(new Error('closed'), { code: 'EPIPE' });
  }) as typeof writeSync;
  t.doesNotThrow(() => {
    writeText(1, 'text', write);
  });
  t.end();
});

t.test('writeText() says what failed', (t) => {
  const file = join(t.testdir(), 'file');
  const fd = openSync(file, 'w');
  writeText(fd, 'text');
  closeSync(fd);
  t.equal(readFileSync(file, 'utf8'), 'text');
  const write = (): void => {
    writeText(fd, 'text');
  };
  t.throws(write, { code: 'host', message: `write to descriptor ${fd}: bad file descriptor: EBADF`, errno: 'EBADF' });
  t.end();
});
