import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import t from 'tap';
import { emitInit } from '../../src/init/image.ts';
import { reply } from '../../src/plan/base/reply.ts';
import { Conversation } from '../../src/process/conversation.ts';
import { INIT_IMAGE_NAME } from '../../src/process/init-name.ts';
import { spawnInit } from '../../src/process/spawned.ts';
import { duplicateAbove } from '../../src/sys/fd.ts';
import { createUnlinkedExecutable, openFile } from '../../src/sys/file.ts';
import { spawn } from '../../src/sys/process/spawn.ts';
import { waitChild } from '../../src/sys/process/wait.ts';
import { O_RDONLY, O_RDWR } from '../../src/util/constants.ts';
import { ARCH, endChild, makeDirectory, startInit, SYNC_FD } from './init-rig.ts';

const program = { name: 'answer', steps: [reply(SYNC_FD, 'pid', 'go')], replies: true };

/** Numbers above 2 that this test was started with: nobody marked them close-on-exec, so every process has them. */
const INHERITED = new Set(readdirSync('/proc/self/fd').filter((fd) => Number(fd) > 2 && !isCloseOnExec(fd)));

function isCloseOnExec(fd: string): boolean {
  try {
    const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0';
    return (Number.parseInt(flags, 8) & 0o2000000) !== 0;
  } catch {
    // The descriptor with which the directory was read.
    return true;
  }
}

/** Descriptor numbers of a process -> what they refer to. */
function descriptorsOf(pid: number): Record<string, string> {
  const directory = `/proc/${pid}/fd`;
  const numbers = readdirSync(directory).filter((fd) => !INHERITED.has(fd));
  return Object.fromEntries(numbers.map((fd) => [fd, readlinkSync(`${directory}/${fd}`)]));
}

t.test('spawnInit() starts a process with exactly the descriptors that it is given', async (t) => {
  const directory = makeDirectory(t);
  const { pid, conversation } = startInit(t, { extra: new Map([[7, openSync(directory, 'r')]]) });
  await conversation.run(program);
  const descriptors = descriptorsOf(pid);
  t.same(Object.keys(descriptors), ['0', '1', '2', '3', '7']);
  t.match(descriptors, { 0: '/dev/null', 1: '/dev/null', 2: '/dev/null', 3: /^socket:/, 7: directory });
  t.equal(readFileSync(`/proc/${pid}/environ`, 'utf8'), '');
  t.equal(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), 'tsrun-init\0');
});

t.test('spawnInit() blocks and ignores no signals', async (t) => {
  const { pid, conversation } = startInit(t);
  await conversation.run(program);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  for (const name of ['SigBlk', 'SigIgn', 'SigCgt']) t.match(status, new RegExp(`^${name}:\\s*0{16}$`, 'm'));
});

t.test('spawnInit() places descriptors whose numbers overlap', async (t) => {
  const directory = makeDirectory(t);
  using nothing = openFile('/dev/null', O_RDWR);
  using zero = openFile('/dev/zero', O_RDONLY);
  using one = duplicateAbove(nothing.number, 20);
  using two = duplicateAbove(zero.number, one.number + 1);
  // Each number is the source of the other, and the sync pipe is in between.
  const callers = new Map([
    [0, nothing.number],
    [1, nothing.number],
    [2, nothing.number],
    [one.number, two.number],
    [two.number, one.number],
    [two.number + 2, two.number],
  ]);
  const syncFd = two.number + 1;
  const { pid, socket } = spawnInit({ arch: ARCH, syncFd, callers, fallbackDirectory: directory });
  t.teardown(() => {
    endChild(pid);
  });
  using conversation = new Conversation(socket, { arch: ARCH, syncFd });
  await conversation.run({ ...program, steps: [reply(syncFd, 'pid', 'go')] });
  t.match(descriptorsOf(pid), {
    [one.number]: '/dev/zero',
    [two.number]: '/dev/null',
    [syncFd]: /^socket:/,
    [syncFd + 1]: '/dev/zero',
  });
  t.equal(Object.keys(descriptorsOf(pid)).length, 7);
});

t.test('CVE-2019-5736: spawnInit() executes a file that nobody can change', async (t) => {
  const { pid, conversation } = startInit(t);
  await conversation.run(program);
  const exe = `/proc/${pid}/exe`;
  t.match(readlinkSync(exe), new RegExp(`^/memfd:${INIT_IMAGE_NAME}`));
  t.ok(readFileSync(exe).equals(emitInit({ arch: ARCH, syncFd: SYNC_FD })));
  t.throws(() => openSync(exe, 'r+'), { code: 'ETXTBSY' });
  const image = openSync(exe, 'r');
  t.teardown(() => {
    closeSync(image);
  });
  conversation.close();
  waitChild(pid);
  // The program of a container waits for this moment: nothing executes the file any more.
  t.throws(
    () => {
      const writable = openSync(`/proc/self/fd/${image}`, 'r+');
      try {
        writeSync(writable, 'x', 0);
      } finally {
        closeSync(writable);
      }
    },
    { code: 'EPERM' },
  );
});

t.test('spawnInit() leaves no descriptor behind', (t) => {
  const before = readdirSync('/proc/self/fd').length;
  const directory = makeDirectory(t);
  using nothing = openFile('/dev/null', O_RDWR);
  const callers = new Map([0, 1, 2].map((number) => [number, nothing.number]));
  const { pid, socket } = spawnInit({ arch: ARCH, syncFd: SYNC_FD, callers, fallbackDirectory: directory });
  socket.close();
  waitChild(pid);
  t.equal(readdirSync('/proc/self/fd').length, before + 1, 'this test has /dev/null open');
  t.throws(
    () => spawnInit({ arch: ARCH, syncFd: SYNC_FD, callers: new Map([[0, 9999]]), fallbackDirectory: directory }),
    {
      code: 'host',
      errno: 'EBADF',
    },
  );
  t.equal(readdirSync('/proc/self/fd').length, before + 1);
  t.same(readdirSync(directory), []);
  t.end();
});

t.test('createUnlinkedExecutable() makes an image that runs and has no name', (t) => {
  const directory = makeDirectory(t);
  const bytes = emitInit({ arch: ARCH, syncFd: SYNC_FD });
  using image = createUnlinkedExecutable(directory, INIT_IMAGE_NAME, bytes);
  t.same(readdirSync(directory), []);
  t.match(fstatSync(image.number), { nlink: 0, size: bytes.length });
  t.match(readlinkSync(`/proc/self/fd/${image.number}`), new RegExp(INIT_IMAGE_NAME));
  // Without a sync pipe there is nothing to read: init ends at once.
  const pid = spawn({ path: `/proc/self/fd/${image.number}`, name: 'test', descriptors: new Map([[0, image.number]]) });
  t.same(waitChild(pid), { kind: 'exited', code: 1 });
  t.throws(() => createUnlinkedExecutable(`${directory}/missing`, 'x', bytes), { code: 'host', errno: 'ENOENT' });
  t.end();
});
