import { readFileSync, readSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { pidfdOpen, pidfdSendSignal } from '../../../src/sys/process/pidfd.ts';
import { openFile } from '../../../src/sys/file.ts';
import { pollReadable, waitReadable } from '../../../src/sys/events/poll.ts';
import type { OwnedFd } from '../../../src/sys/fd.ts';
import { setRlimit } from '../../../src/sys/process/prlimit.ts';
import { receiveMessage, sendMessage, socketPair } from '../../../src/sys/socket.ts';
import { spawn } from '../../../src/sys/process/spawn.ts';
import { exitCode, peekEndedChild, reapByPidfd, reapChild, waitChild } from '../../../src/sys/process/wait.ts';
import { O_CREAT, O_RDONLY, O_WRONLY } from '../../../src/util/constants.ts';

/** Starts /bin/cat, which lives as long as the other end of its standard input. */
function startCat() {
  const [ours, theirs] = socketPair('stream');
  const pid = spawn({
    path: '/bin/cat',
    name: 'cat',
    descriptors: new Map([
      [0, theirs.number],
      [1, theirs.number],
      [2, 2],
    ]),
  });
  theirs.close();
  // The parent goes on a moment before the child has its arguments: what comes back says that it runs.
  sendMessage(ours.number, Buffer.from('x'));
  receiveMessage(ours.number, 1);
  return { pid, socket: ours };
}

t.test('spawn() gives the child its name, an empty environment and its descriptors', (t) => {
  const { pid, socket } = startCat();
  t.equal(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), 'cat\0');
  t.equal(readFileSync(`/proc/${pid}/environ`, 'utf8'), '');
  t.equal(reapChild(pid), undefined);
  socket.close();
  t.same(waitChild(pid), { kind: 'exited', code: 0 });
  t.throws(() => waitChild(pid), { code: 'host', errno: 'ECHILD' });
  t.end();
});

t.test('spawn() swaps descriptors', (t) => {
  const [ours, theirs] = socketPair('stream');
  using _ours = ours;
  using nothing = openFile('/dev/null', O_RDONLY);
  // cat copies /dev/null, as the script says; the socket is where /dev/null is here and the other way round.
  const descriptors = new Map([
    [0, nothing.number],
    [1, theirs.number],
    [2, 2],
    [theirs.number, nothing.number],
    [nothing.number, theirs.number],
  ]);
  const pid = spawn({ path: '/bin/pwd', name: 'pwd', descriptors });
  theirs.close();
  t.same(waitChild(pid), { kind: 'exited', code: 0 });
  const buffer = Buffer.alloc(4096);
  t.equal(buffer.toString('utf8', 0, readSync(ours.number, buffer)), `${process.cwd()}\n`);
  t.end();
});

t.test('spawn() says what it could not do', (t) => {
  const descriptors = new Map([[0, 0]]);
  t.throws(() => spawn({ path: '/nowhere', name: 'x', descriptors }), {
    code: 'host',
    errno: 'ENOENT',
    message: 'start "/nowhere": no such file or directory: ENOENT',
  });
  t.throws(() => spawn({ path: '/', name: 'x', descriptors }), { code: 'host', errno: 'EACCES' });
  t.end();
});

t.test('waitChild() tells an exit code from a signal', async (t) => {
  const status = { exited: waitChild(spawn({ path: '/bin/false', name: 'false', descriptors: new Map([[0, 0]]) })) };
  t.same(status.exited, { kind: 'exited', code: 1 });
  t.equal(exitCode(status.exited), 1);
  const { pid, socket } = startCat();
  using pidfd = pidfdOpen(pid);
  const waiting = waitReadable(pidfd.number);
  pidfdSendSignal(pidfd.number, 0);
  pidfdSendSignal(pidfd.number, 15);
  t.equal(await waiting, true, 'a pidfd becomes readable at the end');
  const killed = waitChild(pid);
  socket.close();
  t.same(killed, { kind: 'killed', signal: 15 });
  t.equal(exitCode(killed), 143);
  t.throws(
    () => {
      pidfdSendSignal(pidfd.number, 15);
    },
    { code: 'host', errno: 'ESRCH' },
  );
  t.throws(() => pidfdOpen(pid), { code: 'host', errno: 'ESRCH' });
});

t.test('peekEndedChild() names a child that has ended, and leaves it to be reaped', async (t) => {
  t.equal(peekEndedChild(), undefined);
  const { pid, socket } = startCat();
  t.equal(peekEndedChild(), undefined, 'it runs');
  using pidfd = pidfdOpen(pid);
  socket.close();
  await waitReadable(pidfd.number);
  t.equal(peekEndedChild(), pid);
  t.equal(peekEndedChild(), pid, 'still there');
  t.same(waitChild(pid), { kind: 'exited', code: 0 });
  t.equal(peekEndedChild(), undefined);
});

t.test('setRlimit() sets a limit of another process', (t) => {
  const { pid, socket } = startCat();
  const RLIMIT_CORE = 4;
  setRlimit(pid, { resource: RLIMIT_CORE, soft: 4096n, hard: 8192n });
  t.match(readFileSync(`/proc/${pid}/limits`, 'utf8'), /^Max core file size\s+4096\s+8192/m);
  t.throws(
    () => {
      setRlimit(pid, { resource: RLIMIT_CORE, soft: 9000n, hard: 8192n });
    },
    { code: 'host', errno: 'EINVAL', message: `set resource limit 4 of process ${pid}: invalid argument: EINVAL` },
  );
  socket.close();
  waitChild(pid);
  t.throws(
    () => {
      setRlimit(pid, { resource: RLIMIT_CORE, soft: 0n, hard: 0n });
    },
    { code: 'host', errno: 'ESRCH' },
  );
  t.end();
});

t.test('reapByPidfd() reaps once, and finds nothing of a child that somebody else has reaped', (t) => {
  const start = (name: string): { pid: number; pidfd: OwnedFd } => {
    const pid = spawn({ path: `/bin/${name}`, name, descriptors: new Map([[0, 0]]) });
    return { pid, pidfd: pidfdOpen(pid) };
  };
  const failed = start('false');
  t.ok(pollReadable(failed.pidfd.number, 10_000));
  t.same(reapByPidfd(failed.pidfd.number), { kind: 'exited', code: 1 });
  t.throws(() => reapByPidfd(failed.pidfd.number), { code: 'host', errno: 'ECHILD' });
  const other = start('true');
  waitChild(other.pid);
  t.throws(() => reapByPidfd(other.pidfd.number), { code: 'host', errno: 'ECHILD' });
  failed.pidfd.close();
  other.pidfd.close();
  t.end();
});

t.test('spawn() passes arguments and environment', (t) => {
  const file = path.join(t.testdir(), 'out');
  const out = openFile(file, O_WRONLY | O_CREAT, 0o600);
  const descriptors = new Map([
    [0, 0],
    [1, out.number],
    [2, 2],
  ]);
  const args = ['-c', 'echo "$0 $1 $NAME"', 'a', 'b c'];
  waitChild(spawn({ path: '/bin/sh', name: 'sh', args, environment: ['NAME=x=y'], descriptors }));
  t.equal(readFileSync(file, 'utf8'), 'a b c x=y\n');
  out.close();
  t.end();
});
