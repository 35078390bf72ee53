import { closeSync, openSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { OwnedFd } from '../../src/sys/fd.ts';
import { waitReadable } from '../../src/sys/events/poll.ts';
import { bindLibc } from '../../src/sys/library.ts';
import { pidfdSendSignal } from '../../src/sys/process/pidfd.ts';
import { listenUnix, receiveMessage } from '../../src/sys/socket.ts';
import { expectFailure, expectSuccess, live, type Rig } from './support/rig.ts';
import { findTool, missingTools } from './support/surroundings.ts';
import { waitForEnd, waitForState } from './support/wait.ts';

const accept = bindLibc('int accept(int fd, void *address, void *length)');
const DEADLINE_MS = 20_000;

/** A command that passes itself off as the one that the sockets are meant for, as a service manager does. */
const LISTENING = { under: ['sh', '-c', 'export LISTEN_PID=$$; exec "$@"', 'sh'] };
const SHOW = 'echo $LISTEN_FDS $LISTEN_PID $$; cat <&3; cat <&4; test -e /proc/self/fd/5 || echo end';

/** Descriptors of files with these contents, to be closed. */
function openTexts(rig: Rig, ...texts: readonly string[]): number[] {
  return texts.map((text) => {
    const file = rig.fresh('text');
    writeFileSync(file, `${text}\n`);
    return openSync(file, 'r');
  });
}

live('socket activation: LISTEN_FDS', async (t, rig) => {
  const env = { LISTEN_FDS: '2' };
  const variables = (text: string): string[] => text.trim().split('\n');

  await t.test('run and create hand over the sockets, with the pid that the program has', async (t) => {
    const fds = openTexts(rig, 'one', 'two');
    const result = await rig.run({ args: SHOW }, { ...LISTENING, env, extraFds: fds });
    t.strictSame(variables(result.stdout), ['2 1 1', 'one', 'two', 'end'], result.stderr);
    const shared = openTexts(rig, 'one', 'two');
    const host = await rig.run(
      {
        args: SHOW,
        change: (config) => {
          config.linux.namespaces = (config.linux.namespaces ?? []).filter(({ type }) => type !== 'pid');
        },
      },
      { ...LISTENING, env, extraFds: shared },
    );
    const [first = ''] = variables(host.stdout);
    t.match(first, /^2 (\d+) \1$/, 'without a pid namespace it is another number');
    const id = rig.id('listen');
    const more = openTexts(rig, 'three', 'four', 'five');
    const flags = ['--preserve-fds', '1', '--bundle', rig.bundle({ args: `${SHOW}; cat <&5` })];
    const created = await rig.tsrun(['create', ...flags, id], { ...LISTENING, env, extraFds: more });
    expectSuccess(t, created, 'create');
    expectSuccess(t, await rig.tsrun(['start', id]), 'start');
    await waitForState(rig, id, 'stopped');
    t.strictSame(variables(created.readOutput()), ['2 1 1', 'three', 'four', 'five'], 'and one more is preserved');
    for (const fd of [...fds, ...shared, ...more]) closeSync(fd);
    await rig.delete(t, id);
  });

  await t.test('exec does the same', async (t) => {
    const { id } = await rig.sleeper(t);
    const fds = openTexts(rig, 'one', 'two');
    const result = await rig.tsrun(['exec', id, 'sh', '-c', SHOW], { ...LISTENING, env, extraFds: fds });
    t.match(result.stdout, /^2 (\d+) \1\none\ntwo\nend\n$/, result.stderr);
    for (const fd of fds) closeSync(fd);
    await rig.delete(t, id);
  });

  await t.test('what is meant for another process, or not open, is not handed over', async (t) => {
    const fds = openTexts(rig, 'one', 'two');
    const other = await rig.run(
      { args: 'echo [$LISTEN_FDS]; test -e /proc/self/fd/3 || echo end' },
      { env: { ...env, LISTEN_PID: '1' }, extraFds: fds },
    );
    t.equal(other.stdout, '[]\nend\n', other.stderr);
    const missing = await rig.run({}, { ...LISTENING, env: { LISTEN_FDS: '9' }, extraFds: fds });
    expectFailure(t, missing, { message: 'unable to stat preserved-fd 5' });
    for (const fd of fds) closeSync(fd);
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('as runc does', { skip: missingTools('runc') }, async (t) => {
    const fds = openTexts(rig, 'one', 'two', 'three');
    const bundle = rig.bundle({ args: `${SHOW}; cat <&5` });
    const argv = [findTool('runc') ?? '', '--root', rig.path('runc'), 'run', '--preserve-fds', '1', '--bundle', bundle];
    const theirs = await rig.start([...LISTENING.under, ...argv, rig.id('runc')], { env, extraFds: fds }).done;
    const again = openTexts(rig, 'one', 'two', 'three');
    const flags = ['run', '--preserve-fds', '1', '--bundle', bundle, rig.id('ours')];
    const ours = await rig.tsrun(flags, { ...LISTENING, env, extraFds: again });
    t.equal(ours.stdout, theirs.stdout, theirs.stderr);
    for (const fd of [...fds, ...again]) closeSync(fd);
  });
});

/** The next datagram, with its descriptors. */
async function nextDatagram(t: Test, socket: OwnedFd): Promise<{ text: string; descriptors: readonly OwnedFd[] }> {
  t.ok(await waitReadable(socket.number, DEADLINE_MS), 'a datagram comes');
  const { bytes, descriptors } = receiveMessage(socket.number, 4096);
  return { text: bytes.toString(), descriptors };
}

/** READY, MAINPID, and the barrier, which is lifted. Answers the pid. */
async function acceptReadiness(t: Test, socket: OwnedFd): Promise<number> {
  t.equal((await nextDatagram(t, socket)).text, 'READY=1\n');
  const { text } = await nextDatagram(t, socket);
  t.match(text, /^MAINPID=\d+\n$/);
  const barrier = await nextDatagram(t, socket);
  t.equal(barrier.text, 'BARRIER=1');
  t.equal(barrier.descriptors.length, 1);
  for (const descriptor of barrier.descriptors) descriptor.close();
  return Number(/\d+/.exec(text)?.[0]);
}

// busybox has no tool that sends datagrams to a unix socket, so that a program of the host's joins in.
const SEND = `
  import socket, os, sys, array
  def say(path, text, fds=()):
      s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
      s.connect(path)
      s.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
`.replaceAll(/^ {2}/gm, '');

live('service manager: NOTIFY_SOCKET', async (t, rig) => {
  const hostPath = rig.path('manager.sock');
  using manager = listenUnix(hostPath, 'datagram');
  const env = { NOTIFY_SOCKET: hostPath };
  /** Says something at the notify socket of a container, as a program in it would. */
  const say = async (pid: number, ...calls: readonly string[]): Promise<void> => {
    const file = rig.fresh('say.py');
    const socket = `/proc/${pid}/root/run/notify/notify.sock`;
    writeFileSync(file, `${SEND}\n${calls.map((call) => call.replaceAll('SOCKET', `'${socket}'`)).join('\n')}\n`);
    const { code, stderr } = await rig.start([findTool('python3') ?? 'python3', file]).done;
    t.equal(code, 0, stderr);
  };
  const skip = missingTools('python3');
  const sleeper = { args: 'echo $NOTIFY_SOCKET; grep /run/notify /proc/self/mountinfo; exec sleep 1000' };

  await t.test('start waits until the program is ready and passes that on, nothing else', { skip }, async (t) => {
    const id = rig.id('notify');
    const created = await rig.tsrun(['create', '--bundle', rig.bundle(sleeper), id], { env });
    expectSuccess(t, created, 'create');
    const { pid } = await rig.state(id);
    const starting = rig.startTsrun(['start', id], { env });
    await waitForState(rig, id, 'running');
    t.equal(statSync(path.join(rig.root, id, 'notify/notify.sock')).mode & 0o777, 0o777);
    await say(
      pid,
      'say(SOCKET, b"STATUS=evil\\nMAINPID=1")',
      'say(SOCKET, b"READY=0\\nFDSTORE=1", (0, 1, 2))',
      'say(SOCKET, b"A" * 5000 + b"\\nREADY=1")',
      'say(SOCKET, b"")',
    );
    t.notOk(await waitReadable(manager.number, 200), 'it is not ready yet');
    // The pipe ends when nobody holds the other end any more, which went along.
    await say(
      pid,
      'r, w = os.pipe()',
      'say(SOCKET, b"STATUS=up", (w,))',
      'os.close(w)',
      'sys.exit(len(os.read(r, 1)))',
    );
    await say(pid, 'say(SOCKET, b"STATUS=up\\nREADY=1\\nMAINPID=1\\n", (0,))');
    t.equal(await acceptReadiness(t, manager), pid, 'the pid of the host');
    expectSuccess(t, await starting.done, 'start');
    const [variable, line = ''] = created.readOutput().split('\n');
    t.equal(variable, '/run/notify/notify.sock');
    t.match(line, / \/run\/notify ro,nosuid,nodev,noexec/);
    await rig.delete(t, id);
  });

  await t.test('run --detach does too; in the foreground tsrun is the service', { skip }, async (t) => {
    for (const flags of [['--detach'], []]) {
      const id = rig.id('run');
      const running = rig.startTsrun(['run', ...flags, '--bundle', rig.bundle(sleeper), id], { env });
      await waitForState(rig, id, 'running');
      const { pid } = await rig.state(id);
      await say(pid, 'say(SOCKET, b"READY=1")');
      const mainPid = await acceptReadiness(t, manager);
      t.equal(mainPid, flags.length > 0 ? pid : running.pid);
      if (flags.length > 0) expectSuccess(t, await running.done, 'run --detach');
      else {
        expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
        t.equal((await running.done).code, 137);
      }
      if (flags.length > 0) await rig.delete(t, id);
    }
  });

  await t.test('a program that ends before it is ready keeps nobody waiting', async (t) => {
    const id = rig.id('short');
    const result = await rig.tsrun(['run', '--detach', '--bundle', rig.bundle({ args: 'exit 3' }), id], { env });
    expectSuccess(t, result, 'run --detach');
    t.equal((await rig.run({ args: 'exit 3' }, { env })).code, 3);
    t.notOk(await waitReadable(manager.number, 0), 'nothing was said');
    await rig.delete(t, id);
  });

  await t.test('a service manager that is gone is a warning', { skip }, async (t) => {
    const id = rig.id('gone');
    const gone = { env: { NOTIFY_SOCKET: rig.path('gone.sock') } };
    const running = rig.startTsrun(['run', '--detach', '--bundle', rig.bundle(sleeper), id], gone);
    await waitForState(rig, id, 'running');
    await say((await rig.state(id)).pid, 'say(SOCKET, b"READY=1")');
    const result = await running.done;
    t.equal(result.code, 0);
    t.match(result.stderr, /level=warning.*notify the service manager .*ENOENT/);
    await rig.delete(t, id);
  });

  await t.test('start of a container that was created without says so', async (t) => {
    const { id } = await rig.create(t, { args: ['sleep', '1000'] });
    const result = await rig.tsrun(['start', id], { env });
    t.equal(result.code, 0);
    t.match(result.stderr, /level=warning.*created without a notify socket/);
    await rig.delete(t, id);
  });
});

live('--pidfd-socket', async (t, rig) => {
  const receivePidfd = async (listener: OwnedFd): Promise<{ text: string; pidfd: OwnedFd }> => {
    t.ok(await waitReadable(listener.number, DEADLINE_MS), 'somebody connects');
    using connection = new OwnedFd(accept(listener.number, null, null));
    const { bytes, descriptors } = receiveMessage(connection.number, 100);
    const [pidfd] = descriptors;
    if (pidfd === undefined) throw new Error('no descriptor came');
    t.equal(descriptors.length, 1);
    t.equal(readlinkSync(`/proc/self/fd/${pidfd.number}`), 'anon_inode:[pidfd]');
    return { text: bytes.toString(), pidfd };
  };

  await t.test('create, run and exec send a pidfd of the process', async (t) => {
    const socket = rig.path('pidfd.sock');
    using listener = listenUnix(socket, 'stream');
    const { id, pid } = await rig.create(t, { args: ['sleep', '1000'] }, ['--pidfd-socket', socket]);
    const created = await receivePidfd(listener);
    t.equal(created.text, 'standard');
    expectSuccess(t, await rig.tsrun(['start', id]), 'start');
    const pidFile = rig.fresh('pid');
    const flags = ['--detach', '--pid-file', pidFile, '--pidfd-socket', socket];
    expectSuccess(t, await rig.tsrun(['exec', ...flags, id, 'sleep', '1000']), 'exec');
    const inside = await receivePidfd(listener);
    t.equal(inside.text, 'setns');
    pidfdSendSignal(inside.pidfd.number, 9);
    t.ok(await waitReadable(inside.pidfd.number, DEADLINE_MS), 'it is the one that was killed');
    pidfdSendSignal(created.pidfd.number, 9);
    await waitForEnd(pid);
    const running = rig.startTsrun(['run', '--pidfd-socket', socket, '--bundle', rig.bundle(), rig.id('run')]);
    const run = await receivePidfd(listener);
    t.equal(run.text, 'standard');
    expectSuccess(t, await running.done, 'run');
    for (const { pidfd } of [created, inside, run]) pidfd.close();
    await rig.delete(t, id);
  });

  await t.test('a socket at which nobody listens is a failure that leaves nothing', async (t) => {
    const flags = ['--pidfd-socket', rig.path('missing.sock')];
    for (const command of ['create', 'run']) {
      const result = await rig.tsrun([command, ...flags, '--bundle', rig.bundle(), rig.id('missing')]);
      expectFailure(t, result, { message: /connect to socket .*missing.sock.*ENOENT/ });
    }
    t.strictSame(rig.leftovers(), []);
    const { id } = await rig.sleeper(t);
    const inside = await rig.tsrun(['exec', ...flags, id, 'sleep', '1000']);
    expectFailure(t, inside, { code: 255, message: /connect to socket .*missing.sock.*ENOENT/ });
    await rig.delete(t, id);
  });
});
