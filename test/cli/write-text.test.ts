import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { writeText } from '../../src/cli/write-text.ts';

/** A pipe whose writer is not blocked, as another process that shares the descriptor may have made it. */
function openPipe(t: Test): { readonly fifo: string; readonly fd: number; readonly readingFd: number } {
  const fifo = join(t.testdir(), 'fifo');
  spawnSync('mkfifo', [fifo]);
  const readingFd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  return { fifo, fd: openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK), readingFd };
}

t.test('writeText() writes all, whatever the descriptor takes at once', async (t) => {
  const { fifo, fd, readingFd } = openPipe(t);
  const text = 'abcdefgh'.repeat(50_000);
  const reader = spawn('sh', ['-c', `cat ${fifo} | sha256sum`], { stdio: ['ignore', 'pipe', 'inherit'] });
  const read = once(reader.stdout, 'data');
  writeText(fd, text);
  closeSync(fd);
  const [sum] = (await read) as [Buffer];
  closeSync(readingFd);
  t.match(sum.toString(), createHash('sha256').update(text).digest('hex'));
});

t.test('writeText() is content with a reader that went away', (t) => {
  const { fd, readingFd } = openPipe(t);
  closeSync(readingFd);
  t.equal(writeText(fd, 'text'), false);
  closeSync(fd);
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
