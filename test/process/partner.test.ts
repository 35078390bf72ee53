import { readdirSync, readFileSync, symlinkSync } from 'node:fs';
import t from 'tap';
import { acceptedInit, connectToInit } from '../../src/process/accepted.ts';
import type { Partner } from '../../src/process/partner.ts';
import { spawnInit } from '../../src/process/spawned.ts';
import { OwnedFd } from '../../src/sys/fd.ts';
import { openFile } from '../../src/sys/file.ts';
import { bindLibc } from '../../src/sys/library.ts';
import { pidfdOpen } from '../../src/sys/process/pidfd.ts';
import { waitReadable } from '../../src/sys/events/poll.ts';
import { listenUnix, receiveMessage } from '../../src/sys/socket.ts';
import { reapChild } from '../../src/sys/process/wait.ts';
import { O_NONBLOCK, O_RDWR } from '../../src/util/constants.ts';
import { ARCH, endChild, makeDirectory, SYNC_FD } from './init-rig.ts';

function spawnOne(fallbackDirectory: string): Partner {
  using nothing = openFile('/dev/null', O_RDWR);
  const callers = new Map([0, 1, 2].map((number) => [number, nothing.number]));
  return spawnInit({ arch: ARCH, syncFd: SYNC_FD, callers, fallbackDirectory });
}

t.test('a spawned partner tells how it ended, as often as it is asked', async (t) => {
  const partner = spawnOne(makeDirectory(t));
  t.equal(await partner.howItEnded(0), undefined, 'it lives');
  t.equal(await partner.howItEnded(1), undefined, 'and goes on to');
  partner.socket.close();
  t.strictSame(await partner.howItEnded(), { kind: 'exited', code: 1 }, 'the end of the pipe is its end');
  t.strictSame(await partner.howItEnded(0), { kind: 'exited', code: 1 });
  t.throws(() => reapChild(partner.pid), { code: 'host', errno: 'ECHILD' }, 'and it is reaped');
  await t.resolves(partner.end());
});

t.test('a spawned partner is ended and reaped', async (t) => {
  const partner = spawnOne(makeDirectory(t));
  await partner.end();
  t.throws(() => reapChild(partner.pid), { code: 'host', errno: 'ECHILD' });
  t.strictSame(await partner.howItEnded(0), { kind: 'killed', signal: 9 });
  partner.socket.close();
});

t.test('a spawned partner whom somebody else has reaped tells nothing', async (t) => {
  const partner = spawnOne(makeDirectory(t));
  endChild(partner.pid);
  t.equal(await partner.howItEnded(), undefined);
  await t.resolves(partner.end());
  partner.socket.close();
});

t.test('a spawned partner becomes the process that it has cloned', async (t) => {
  const directory = makeDirectory(t);
  const partner = spawnOne(directory);
  const { pid } = partner;
  const other = spawnOne(directory);
  partner.socket.close();
  partner.becomes(other.pid);
  t.equal(partner.pid, other.pid);
  t.throws(() => reapChild(pid), { code: 'host', errno: 'ECHILD' }, 'the first one is reaped');
  await partner.end();
  t.strictSame(await partner.howItEnded(0), { kind: 'killed', signal: 9 });
  other.socket.close();
});

t.test('an accepted partner is ended, and its end is told to its parent', async (t) => {
  const directory = makeDirectory(t);
  const child = spawnOne(directory);
  const socketPath = `${directory}/socket`;
  using _listener = listenUnix(socketPath, 'seqpacket');
  using pidfd = pidfdOpen(child.pid);
  const partner = await acceptedInit({ socketPath, token: undefined }, { pid: child.pid, pidfd });
  t.equal(partner.pid, child.pid);
  t.equal(await partner.howItEnded(0), undefined);
  let isSeen = false;
  const seen = partner.howItEnded(-1).then(() => (isSeen = true));
  await new Promise(setImmediate);
  t.notOk(isSeen, 'one who wants to see the end waits for it');
  await partner.end();
  await seen;
  t.equal(await partner.howItEnded(), undefined, 'that it has ended is all that can be known');
  t.strictSame(await child.howItEnded(), { kind: 'killed', signal: 9 });
  await t.resolves(partner.end(), 'one that is gone is fine');
  partner.socket.close();
  child.socket.close();
});

t.test('acceptedInit() says so where nobody listens, and keeps nothing open', async (t) => {
  const directory = makeDirectory(t);
  using pidfd = pidfdOpen(process.pid);
  const before = readdirSync('/proc/self/fd').length;
  const waiting = { socketPath: `${directory}/none`, token: undefined };
  await t.rejects(acceptedInit(waiting, { pid: process.pid, pidfd }), { code: 'status' });
  t.equal(readdirSync('/proc/self/fd').length, before);
});

t.test('connectToInit() tells the errors that mean "it does not listen" from all others', async (t) => {
  const socketPath = `${makeDirectory(t)}/socket`;
  const before = () => readdirSync('/proc/self/fd').length;
  const stream = listenUnix(socketPath, 'stream');
  const count = before();
  await t.rejects(connectToInit({ socketPath, token: undefined }), { code: 'host', errno: 'EPROTOTYPE' });
  symlinkSync(socketPath, `${socketPath}-link`);
  await t.rejects(connectToInit({ socketPath: `${socketPath}-link`, token: undefined }), 'no symlink is followed');
  t.equal(before(), count, 'nothing stays open');
  stream.close();
  const stopped = { code: 'status', message: /^cannot start a container that has stopped/ };
  await t.rejects(connectToInit({ socketPath, token: undefined }), stopped, 'a socket that nobody has open');
});

t.test('connectToInit() shows its token, in bytes', async (t) => {
  const socketPath = `${makeDirectory(t)}/socket`;
  using listener = listenUnix(socketPath, 'seqpacket');
  using connection = await connectToInit({ socketPath, token: '00ff10' });
  using accepted = new OwnedFd(
    bindLibc('int accept(int fd, void *address, void *length)')(listener.number, null, null),
  );
  t.strictSame([...receiveMessage(accepted.number, 64).bytes], [0x00, 0xff, 0x10]);
  t.equal(await waitReadable(connection.number, 0), false);
  const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${connection.number}`, 'utf8'))?.[1];
  t.equal(Number.parseInt(flags ?? '', 8) & O_NONBLOCK, 0, 'what follows waits for init');
});
