import { closeSync, constants, openSync } from 'node:fs';
import tty from 'node:tty';
import t, { type Test } from 'tap';
import { isTerminal } from '../../src/cli/terminal.ts';
import { isTerminal as hasTerminalModes } from '../../src/sys/tty.ts';
import { OwnedFd } from '../../src/sys/fd.ts';
import { bindLibc } from '../../src/sys/library.ts';
import { O_RDWR, TIOCGPTPEER, TIOCSPTLCK } from '../../src/util/constants.ts';

const ioctlPointer = bindLibc('int ioctl(int fd, unsigned long request, void *argument)');
const ioctlNumber = bindLibc('int ioctl(int fd, unsigned long request, long argument)');

function open(t: Test, file: string, flags = constants.O_RDONLY): number {
  const fd = openSync(file, flags);
  t.teardown(() => {
    closeSync(fd);
  });
  return fd;
}

t.test('isTerminal() knows both ends of a pseudo-terminal', (t) => {
  const master = open(t, '/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY);
  ioctlPointer(master, TIOCSPTLCK, Buffer.alloc(4));
  using slave = new OwnedFd(ioctlNumber(master, TIOCGPTPEER, O_RDWR | constants.O_NOCTTY));
  for (const fd of [master, slave.number])
    t.same([isTerminal(fd), tty.isatty(fd), hasTerminalModes(fd)], [true, true, true]);
  t.end();
});

t.test('isTerminal() takes nothing else for a terminal', (t) => {
  for (const file of ['/dev/null', '/dev/zero', '/dev/urandom', '/', t.testdirName, '/proc/self/status']) {
    const fd = open(t, file === t.testdirName ? t.testdir() : file);
    t.same([isTerminal(fd), tty.isatty(fd)], [false, false], file);
  }
  t.end();
});

t.test('isTerminal() is false for a descriptor that is closed', (t) => {
  const fd = openSync('/dev/null', 'r');
  closeSync(fd);
  for (const number of [fd, 99_999, -1]) t.equal(isTerminal(number), false);
  t.end();
});
