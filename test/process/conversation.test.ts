import { readdirSync, readFileSync, readSync } from 'node:fs';
import t, { type Test } from 'tap';
import { reply, replyWithDescriptors } from '../../src/plan/base/reply.ts';
import { call, stringArray, wordBlock } from '../../src/program/build.ts';
import { Memory, type Program, type ReplyForm, type Step } from '../../src/program/step.ts';
import { encode } from '../../src/program/encode.ts';
import { Conversation } from '../../src/process/conversation.ts';
import { receiveMessage, sendMessage, socketPair } from '../../src/sys/socket.ts';
import { sleep } from '../../src/sys/events/poll.ts';
import { openFile } from '../../src/sys/file.ts';
import { waitChild } from '../../src/sys/process/wait.ts';
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH, O_RDWR } from '../../src/util/constants.ts';
import { ARCH, startInit, SYNC_FD } from './init-rig.ts';

const label = { label: 'test' };
const make = (...steps: Step[]): Program => ({ name: 'test it', steps, replies: true });
const silent = (...steps: Step[]): Program => ({ name: 'test it', steps, replies: false });
const numbers = { sync: SYNC_FD, listener: 4, scratch: [5, 6], idmaps: 7 } as const;

t.test('Conversation.run() answers with the tag and the words of the program', async (t) => {
  const { conversation, pid } = startInit(t);
  const word = new Memory().word('pid');
  const answer = await conversation.run(
    make(call('getpid', [], { ...label, result: word }), reply(SYNC_FD, 'pid', 'go', [word])),
  );
  t.equal(answer.tag, 17n);
  t.equal(answer.body.readBigUInt64LE(0), BigInt(pid));
  t.same(answer.descriptors, []);
  const second = await conversation.run(make(reply(SYNC_FD, 'rootfs', 'go')));
  t.same([second.tag, second.body.length], [18n, 0]);
});

t.test('Conversation.run() passes descriptors on, close-on-exec', async (t) => {
  const { conversation } = startInit(t);
  const root = new Memory().word('root');
  const { descriptors } = await conversation.run(
    make(
      call('openat', [AT_FDCWD, '/', O_PATH | O_DIRECTORY | O_CLOEXEC, 0], { ...label, result: root }),
      ...replyWithDescriptors(numbers, 'console', 'hand over', [root]),
    ),
  );
  t.equal(descriptors.length, 1);
  const info = readFileSync(`/proc/self/fdinfo/${descriptors[0]?.number ?? -1}`, 'utf8');
  t.match(info, /^flags:\s*0?[0-7]*2[0-7]{6}$/m);
  for (const descriptor of descriptors) descriptor.close();
});

t.test('Conversation.run() refuses an answer that is not the one its program announces', async (t) => {
  const { conversation } = startInit(t);
  const root = new Memory().word('root');
  const open = call('openat', [AT_FDCWD, '/', O_PATH | O_DIRECTORY | O_CLOEXEC, 0], { ...label, result: root });
  const expecting = (form: ReplyForm, ...steps: Step[]): Program => ({ ...make(...steps), reply: form });
  const handOver = [open, ...replyWithDescriptors(numbers, 'console', 'hand over', [root])];
  const rows: [wanted: ReplyForm, found: string, wantedText: string, steps: Step[]][] = [
    [
      { tag: 17n, words: 0, descriptors: 0 },
      '18, 0 bytes and 0',
      '17, 0 bytes and 0',
      [reply(SYNC_FD, 'rootfs', 'go')],
    ],
    [
      { tag: 17n, words: [1, 2], descriptors: 0 },
      '17, 0 bytes and 0',
      '17, 8 to 16 bytes and 0',
      [reply(SYNC_FD, 'pid', 'go')],
    ],
    [{ tag: 20n, words: 0, descriptors: 0 }, '20, 0 bytes and 1', '20, 0 bytes and 0', handOver],
    [{ tag: 20n, words: 0, descriptors: [2, 3] }, '20, 0 bytes and 1', '20, 0 bytes and 2 to 3', handOver],
  ];
  // All waits of a process are behind one descriptor, made at the first and kept.
  await sleep(0);
  for (const [form, found, wantedText, steps] of rows) {
    const before = readdirSync('/proc/self/fd').length;
    await t.rejects(conversation.run(expecting(form, ...steps)), {
      code: 'init',
      message: `test it: init answered tag ${found} descriptors, wanted tag ${wantedText} descriptors`,
    });
    t.equal(readdirSync('/proc/self/fd').length, before, 'what came along is closed');
  }
  const fitting = expecting({ tag: 17n, words: [0, 1], descriptors: 0 }, reply(SYNC_FD, 'pid', 'go', [root]));
  t.equal((await conversation.run(fitting)).tag, 17n);
});

t.test('Conversation.run() throws the step that failed, and init goes on', async (t) => {
  const { conversation } = startInit(t);
  const failing = make(
    call('umask', [0], label),
    call('openat', [AT_FDCWD, '/nowhere/at/all', O_PATH, 0], { label: 'open it', pointer: '/mounts/0' }),
    reply(SYNC_FD, 'pid', 'go'),
  );
  await t.rejects(conversation.run(failing), {
    code: 'step',
    message: 'open it: no such file or directory: ENOENT (/mounts/0 of config.json)',
    step: { index: 1, call: 'openat', errno: 'ENOENT' },
  });
  t.equal((await conversation.run(make(reply(SYNC_FD, 'rootfs', 'go')))).tag, 18n);
});

t.test('Conversation.run() sends a program of several packets', async (t) => {
  const { conversation } = startInit(t);
  const steps = Array.from({ length: 3000 }, () => call('getpid', [], label));
  const program = make(...steps, reply(SYNC_FD, 'pid', 'go'));
  t.ok(encode(program, { arch: ARCH, syncFd: SYNC_FD }).length > 1);
  t.equal((await conversation.run(program)).tag, 17n);
  const failing = make(
    ...steps,
    call('umask', [0], label),
    call('close', [99], { label: 'close it' }),
    reply(SYNC_FD, 'pid', 'go'),
  );
  await t.rejects(conversation.run(failing), {
    message: 'close it: bad file descriptor: EBADF',
    step: { index: 3001 },
  });
  const early = make(call('close', [99], { label: 'close it' }), ...steps, reply(SYNC_FD, 'pid', 'go'));
  await t.rejects(conversation.run(early), { message: 'close it: bad file descriptor: EBADF', step: { index: 0 } });
  t.equal((await conversation.run(make(reply(SYNC_FD, 'rootfs', 'go')))).tag, 18n);
});

t.test('Conversation.run() waits without blocking when the answer takes its time', async (t) => {
  const [input, output] = socketPair('stream');
  const { conversation } = startInit(t, { extra: new Map([[4, input.number]]) });
  input.close();
  const buffer = new Memory().buffer('buffer', 8);
  const running = conversation.run(
    make(
      call('read', [4, { kind: 'address', of: buffer, offset: 0 }, 8], label),
      reply(SYNC_FD, 'pid', 'go', [buffer]),
    ),
  );
  let wentOn = false;
  setImmediate(() => {
    wentOn = true;
    sendMessage(output.number, Buffer.from('12345678'));
  });
  const { body } = await running;
  output.close();
  t.ok(wentOn, 'the event loop went on');
  t.equal(body.toString(), '12345678');
});

t.test('Conversation.run() says that init is gone', async (t) => {
  const gone = { code: 'init', message: 'test it: the init process is gone', errno: 'EPIPE' };
  const ended = startInit(t);
  await t.rejects(ended.conversation.run(make(call('exit_group', [7], label), reply(SYNC_FD, 'pid', 'go'))), gone);
  t.same(waitChild(ended.pid), { kind: 'exited', code: 7 });
  await t.rejects(ended.conversation.run(make(reply(SYNC_FD, 'pid', 'go'))), gone);
  const killed = startInit(t);
  process.kill(killed.pid, 'SIGKILL');
  t.same(waitChild(killed.pid), { kind: 'killed', signal: 9 });
  await t.rejects(killed.conversation.run(make(reply(SYNC_FD, 'pid', 'go'))), gone);
  t.throws(() => {
    killed.conversation.dispatch(silent(call('umask', [0], label)));
  }, gone);
});

t.test('Conversation refuses programs that make no sense', (t) => {
  const { conversation } = startInit(t);
  const long = silent(...Array.from({ length: 3000 }, () => call('getpid', [], label)));
  t.throws(
    () => {
      conversation.dispatch(long);
    },
    { message: /^bug: test it takes \d+ packets without answering$/ },
  );
  t.end();
});

t.test('closing a Conversation ends init', (t) => {
  const { conversation, pid } = startInit(t);
  conversation.close();
  t.same(waitChild(pid), { kind: 'exited', code: 1 });
  t.end();
});

t.test('Conversation.dispatch() does not wait', async (t) => {
  const { conversation } = startInit(t);
  conversation.dispatch(silent(call('umask', [0], label)));
  t.equal((await conversation.run(make(reply(SYNC_FD, 'rootfs', 'go')))).tag, 18n);
});

function execute(file: string, args: readonly string[]): Program {
  return silent(
    call('close_range', [SYNC_FD + 1, 0xffff_ffff, 0], label),
    call('execve', [file, stringArray(args), stringArray([])], {
      label: 'exec: "x"',
      failure: 'exec: "x": {errno}',
      code: 'program',
    }),
  );
}

/** What comes out of a descriptor until its end. */
function drain(fd: number): string {
  const buffer = Buffer.alloc(1 << 20);
  let length = 0;
  for (let count = -1; count !== 0; length += count) count = readSync(fd, buffer, length, buffer.length - length, null);
  return buffer.toString('utf8', 0, length);
}

async function keepOnExec(conversation: Conversation): Promise<void> {
  const F_SETFD = 2;
  await conversation.run(make(call('fcntl', [SYNC_FD, F_SETFD, 1], label), reply(SYNC_FD, 'pid', 'go')));
}

t.test('Conversation.runToEnd() takes silence for success', async (t) => {
  const [input, output] = socketPair('stream');
  const { conversation, pid } = startInit(t, { output: output.number });
  output.close();
  await keepOnExec(conversation);
  await conversation.runToEnd(execute('/bin/echo', ['echo', 'it runs']));
  t.equal(drain(input.number), 'it runs\n');
  input.close();
  t.same(waitChild(pid), { kind: 'exited', code: 0 });
});

t.test('Conversation.runToEnd() passes arguments that need several packets', async (t) => {
  const [input, output] = socketPair('stream');
  const { conversation, pid } = startInit(t, { output: output.number });
  output.close();
  await keepOnExec(conversation);
  const args = ['echo', ...Array.from({ length: 40 }, (_, index) => String(index % 10).repeat(5000))];
  const program = execute('/bin/echo', args);
  t.ok(encode(program, { arch: ARCH, syncFd: SYNC_FD }).length > 3);
  await conversation.runToEnd(program);
  t.equal(drain(input.number), `${args.slice(1).join(' ')}\n`);
  input.close();
  t.same(waitChild(pid), { kind: 'exited', code: 0 });
});

t.test('Conversation.runToEnd() throws why the program cannot be run, and init stays', async (t) => {
  const { conversation } = startInit(t);
  await keepOnExec(conversation);
  await t.rejects(conversation.runToEnd(execute('/nowhere', ['x'])), {
    code: 'program',
    message: 'exec: "x": no such file or directory: ENOENT',
  });
  await t.rejects(conversation.runToEnd(execute('/', ['x'])), { message: 'exec: "x": permission denied: EACCES' });
  const long = Array.from({ length: 40 }, () => 'x'.repeat(5000));
  await t.rejects(conversation.runToEnd(execute('/nowhere', long)), {
    message: 'exec: "x": no such file or directory: ENOENT',
  });
  t.equal((await conversation.run(make(reply(SYNC_FD, 'rootfs', 'go')))).tag, 18n);
});

/** A conversation with a partner that this test plays. */
function play(t: Test, answer: Uint8Array): Conversation {
  const [ours, theirs] = socketPair('seqpacket');
  t.teardown(() => {
    theirs.close();
  });
  sendMessage(theirs.number, answer);
  return new Conversation(ours, { arch: ARCH, syncFd: SYNC_FD });
}

t.test('Conversation does not believe everything that init says', async (t) => {
  const answer = (...values: bigint[]) => Buffer.from(wordBlock(values, 'words').bytes);
  const program = make(reply(SYNC_FD, 'pid', 'go'));
  const run = async (bytes: Uint8Array) => {
    using conversation = play(t, bytes);
    return await conversation.run(program);
  };
  await t.rejects(run(Buffer.from('abc')), {
    code: 'init',
    message: 'test it: init sent 3 bytes that are no failure report',
  });
  await t.rejects(run(answer(0n, 0x1010_1010n)), { code: 'init', message: /16 bytes that are no failure report/ });
  await t.rejects(run(answer(0n, 0x1010_1011n, -1n)), {
    code: 'init',
    message: /0x10101011 is not the address of an operation/,
  });
  await t.rejects(run(answer(0n, 0x1010_1010n, -1n)), { code: 'step', message: 'go: operation not permitted: EPERM' });
  t.equal((await run(answer(99n))).tag, 99n);
  const { explain } = await run(answer(99n));
  t.match(explain(answer(0n, 0x1010_1010n, -1n)), { code: 'step', message: 'go: operation not permitted: EPERM' });
  using ending = play(t, answer(99n, 0x1010_1010n, -1n));
  await t.rejects(ending.runToEnd(silent(call('umask', [0], label))), {
    message: /24 bytes that are no failure report/,
  });
  using conversation = play(t, answer(17n));
  const steps = Array.from({ length: 3000 }, () => call('getpid', [], label));
  await t.rejects(conversation.run(make(...steps, reply(SYNC_FD, 'pid', 'go'))), {
    code: 'init',
    message: 'test it: init answered 17, wanted "more"',
  });
});

t.test('Conversation closes the descriptors of a failure report', async (t) => {
  const [ours, theirs] = socketPair('seqpacket');
  const [one, other] = socketPair('stream');
  sendMessage(theirs.number, Buffer.from(wordBlock([0n, 0x1010_1010n, -1n], 'report').bytes), [one.number]);
  one.close();
  using conversation = new Conversation(ours, { arch: ARCH, syncFd: SYNC_FD });
  await t.rejects(conversation.run(make(reply(SYNC_FD, 'pid', 'go'))), { code: 'step' });
  t.equal(receiveMessage(other.number, 8).bytes.length, 0, 'the other end is at its end');
  other.close();
  theirs.close();
});

t.test('Conversation.run() executes what was announced as the next program, and any other just as well', async (t) => {
  const { conversation } = startInit(t);
  const [pid, rootfs] = [make(reply(SYNC_FD, 'pid', 'go')), make(reply(SYNC_FD, 'rootfs', 'go'))];
  t.equal((await conversation.run(pid, rootfs)).tag, 17n);
  t.equal((await conversation.run(pid)).tag, 17n, 'not the announced one');
  t.equal((await conversation.run(rootfs)).tag, 18n);
  t.equal((await conversation.run(rootfs)).tag, 18n, 'twice');
});

t.test('Conversation.handOver() gives another process what runToEnd() would send', async (t) => {
  const [input, output] = socketPair('stream');
  const { conversation, pid, socket } = startInit(t, { output: output.number });
  output.close();
  await keepOnExec(conversation);
  const handed = conversation.handOver(execute('/bin/echo', ['echo', 'handed over']));
  t.equal(handed?.connection, socket.number);
  sendMessage(socket.number, handed?.packet ?? Buffer.alloc(0));
  t.equal(drain(input.number), 'handed over\n');
  input.close();
  t.same(waitChild(pid), { kind: 'exited', code: 0 });
  const steps = Array.from({ length: 3000 }, () => call('getpid', [], label));
  t.equal(conversation.handOver(silent(...steps)), undefined, 'several packets are a conversation');
});

t.test('Conversation.explainEnd() says why a program that was handed over did not run', async (t) => {
  const { conversation, socket } = startInit(t);
  await keepOnExec(conversation);
  const program = execute('/nowhere', ['x']);
  sendMessage(socket.number, conversation.handOver(program)?.packet ?? Buffer.alloc(0));
  t.throws(() => conversation.explainEnd(program), {
    code: 'program',
    message: 'exec: "x": no such file or directory: ENOENT',
  });
  const gone = { code: 'init', message: 'test it: the init process is gone', errno: 'EPIPE' };
  conversation.dispatch(silent(call('exit_group', [0], label)));
  t.throws(() => conversation.explainEnd(program), gone);
  const [ours, theirs] = socketPair('seqpacket');
  using reset = new Conversation(ours, { arch: ARCH, syncFd: SYNC_FD });
  reset.dispatch(program);
  // Unread data at the close of the other end.
  theirs.close();
  t.throws(() => reset.explainEnd(program), gone);
  const [mine, others] = socketPair('seqpacket');
  using unread = new Conversation(mine, { arch: ARCH, syncFd: SYNC_FD });
  unread.dispatch(program);
  others.close();
  t.throws(() => {
    unread.dispatch(program);
  }, gone);
});

t.test('Conversation says nothing about init where its own descriptor is to blame', async (t) => {
  using conversation = new Conversation(openFile('/dev/null', O_RDWR), { arch: ARCH, syncFd: SYNC_FD });
  const program = make(reply(SYNC_FD, 'pid', 'go'));
  await t.rejects(conversation.run(program), { code: 'host', errno: 'ENOTSOCK' });
  t.throws(() => conversation.explainEnd(program), { code: 'host', errno: 'ENOTSOCK' });
});

t.test(
  'a Conversation alone waits for a quick answer where it is, and lets the process go on beside others',
  async (t) => {
    const { conversation, socket } = startInit(t);
    const program = make(reply(SYNC_FD, 'pid', 'go'));
    const ROUNDS = 100;
    const countTurns = async (): Promise<number> => {
      const turned = new Set<number>();
      for (let round = 0; round < ROUNDS; round++) {
        let isOver = false;
        setImmediate(() => {
          if (!isOver) turned.add(round);
        });
        await conversation.run(program);
        isOver = true;
      }
      return turned.size;
    };
    t.ok((await countTurns()) < ROUNDS, 'alone');
    {
      const [ours, theirs] = socketPair('seqpacket');
      using _other = new Conversation(ours, { arch: ARCH, syncFd: SYNC_FD });
      t.ok((await countTurns()) > ROUNDS / 2, 'beside another');
      theirs.close();
    }
    t.ok((await countTurns()) < ROUNDS, 'alone again');
    conversation.close();
    conversation.close();
    t.notOk(socket.isOpen);
    const next = startInit(t);
    {
      using disposed = next.conversation;
      await disposed.run(program);
    }
    t.notOk(next.socket.isOpen, 'its end closes the pipe');
  },
);
