import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { requireConsole, sendConsole } from '../../../src/container/caller/console.ts';
import { OwnedFd } from '../../../src/sys/fd.ts';
import { openFile } from '../../../src/sys/file.ts';
import { bindLibc } from '../../../src/sys/library.ts';
import { listenUnix, receiveMessage } from '../../../src/sys/socket.ts';
import { O_RDWR } from '../../../src/util/constants.ts';

const accept = bindLibc('int accept(int fd, void *address, void *length)');

t.test('requireConsole() wants somebody who holds the master, and nobody else', (t) => {
  const judge = (terminal: boolean, detached: boolean, consoleSocket?: string) => {
    requireConsole({ terminal, detached, consoleSocket });
  };
  t.doesNotThrow(() => {
    judge(true, true, '/s');
  });
  t.doesNotThrow(() => {
    judge(true, false);
  });
  t.doesNotThrow(() => {
    judge(false, true);
  });
  t.doesNotThrow(() => {
    judge(false, false);
  });
  const missing = 'cannot allocate tty if tsrun will detach without setting console socket';
  t.throws(
    () => {
      judge(true, true);
    },
    { code: 'usage', message: missing },
  );
  const odd = { code: 'usage', message: 'cannot use console socket if tsrun will not detach or allocate tty' };
  for (const [terminal, detached] of [
    [false, true],
    [true, false],
    [false, false],
  ] as const)
    t.throws(() => {
      judge(terminal, detached, '/s');
    }, odd);
  t.end();
});

t.test('sendConsole() sends the master with a name', async (t) => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tsrun-test-'));
  t.teardown(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  const file = path.join(directory, 'console.sock');
  using listener = listenUnix(file, 'stream');
  using master = openFile('/dev/null', O_RDWR);
  await sendConsole(master, file);
  using connection = new OwnedFd(accept(listener.number, null, null));
  const { bytes, descriptors } = receiveMessage(connection.number, 4096);
  t.equal(bytes.toString(), '/dev/ptmx');
  t.same(
    descriptors.map(({ number }) => readlinkSync(`/proc/self/fd/${number}`)),
    ['/dev/null'],
  );
  for (const descriptor of descriptors) descriptor.close();
  await t.rejects(sendConsole(master, path.join(directory, 'missing.sock')), { code: 'host', errno: 'ENOENT' });
});
