import { openSync, readlinkSync } from 'node:fs';
import t from 'tap';
import { duplicateAbove, isOpenFd, OwnedFd } from '../../src/sys/fd.ts';

const open = () => openSync('/dev/null', 'r');

t.test('OwnedFd closes its descriptor once', (t) => {
  const number = open();
  const fd = new OwnedFd(number);
  t.equal(fd.number, number);
  t.equal(fd.isOpen, true);
  fd.close();
  t.equal(fd.isOpen, false);
  t.equal(isOpenFd(number), false);
  const other = open();
  t.equal(other, number, 'the number has a new owner');
  fd.close();
  t.equal(isOpenFd(other), true);
  new OwnedFd(other).close();
  t.throws(() => fd.number, { message: 'bug: a closed descriptor is used' });
  t.throws(() => fd.release(), { message: 'bug: a closed descriptor is used' });
  t.end();
});

t.test('OwnedFd is closed at the end of its scope', (t) => {
  const number = open();
  {
    using fd = new OwnedFd(number);
    t.equal(isOpenFd(fd.number), true);
  }
  t.equal(isOpenFd(number), false);
  t.end();
});

t.test('OwnedFd.release() gives the descriptor away', (t) => {
  const number = open();
  {
    using fd = new OwnedFd(number);
    t.equal(fd.release(), number);
    t.equal(fd.isOpen, false);
  }
  t.equal(isOpenFd(number), true);
  new OwnedFd(number).close();
  t.end();
});

t.test('duplicateAbove() takes the lowest free number from the minimum upwards', (t) => {
  using fd = new OwnedFd(open());
  using first = duplicateAbove(fd.number, 300);
  using second = duplicateAbove(fd.number, 300);
  t.ok(first.number >= 300 && second.number > first.number);
  t.equal(readlinkSync(`/proc/self/fd/${second.number}`), '/dev/null');
  t.throws(() => duplicateAbove(9999, 300), {
    code: 'host',
    errno: 'EBADF',
    message: 'duplicate descriptor 9999: bad file descriptor: EBADF',
  });
  t.end();
});
