import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, closeSync, rmSync, chmodSync } from 'node:fs';
import type { Test } from 'tap';
import { acceptUnix, connectUnix, listenUnix, sendMessage } from '../../src/sys/socket.ts';
import { setNonBlocking, type OwnedFd } from '../../src/sys/fd.ts';
import {
  ENGINES,
  LAUNCHER,
  PLANNER_DIRECTORY,
  PLANNER_SOCKET,
  TestPlanner,
  type PlannerEngine,
} from './support/planner.ts';
import { expectSuccess, livePlanners, type Rig } from './support/rig.ts';
import { missingTools, slowness } from './support/surroundings.ts';
import { waitFor } from './support/wait.ts';

const PYTHON = '/usr/bin/python3';
const needsPython = existsSync(PYTHON) ? false : `needs ${PYTHON} on the host`;
const CONTROL = `${PLANNER_DIRECTORY}/control`;
/** More than a planner has descriptors in the test that says so. */
const MANY = 600;
/** 50 ms, and what a busy machine takes for two processes. */
const SOON_MS = 50 + 2_000;

/** A command that says what is the same without a planner. */
async function expectServed(t: Test, rig: Rig, what: string): Promise<void> {
  const result = await rig.start([LAUNCHER, '--root', rig.root, 'state', 'nobody']).done;
  t.strictSame([result.code, /container does not exist/.test(result.stderr)], [1, true], what);
}

/** The same, and that it was done by the planner. On a busy machine a launcher may not have waited long enough. */
async function expectWarm(t: Test, rig: Rig, planner: TestPlanner, what: string): Promise<void> {
  const before = planner.report().warm;
  await waitFor(async () => {
    await expectServed(t, rig, what);
    return planner.report().warm > before;
  });
}

function numbers(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => (index * 7 + 3) & 0xff));
}

for (const engine of Object.keys(ENGINES) as PlannerEngine[]) {
  livePlanners(`hostile peers of a planner (${engine})`, async (t, rig) => {
    const planner = await TestPlanner.start(rig.path('planner.err'), { engine });
    await t.test('garbage, silence, and descriptors in place of a hello', (t) => garbage(t, rig, planner));
    await t.test('peers that ask for its report and say nothing', (t) => silentAskers(t, rig, planner));
    await planner.finish(t);
  });

  livePlanners(`a planner without descriptors (${engine})`, async (t, rig) => {
    const planner = await TestPlanner.start(rig.path('planner.err'), {
      engine,
      under: ['prlimit', '--nofile=200:200'],
    });
    await t.test('waits until there are some again', (t) => exhausted(t, rig, planner));
    t.match(planner.errors(), /EMFILE|^$/, 'it says so at most');
    t.ok(planner.errors().length < 2000, 'and not for each of them');
    await planner.end();
  });
}

async function garbage(t: Test, rig: Rig, planner: TestPlanner): Promise<void> {
  const peers: OwnedFd[] = [];
  const connect = (): number => {
    const peer = connectUnix(PLANNER_SOCKET, 'seqpacket');
    peers.push(peer);
    return peer.number;
  };
  for (const length of [1, 31, 32, 33, 4096, 100_000]) sendMessage(connect(), numbers(length));
  const file = openSync('/dev/null', 'r');
  for (const count of [1, 2, 250, 253])
    sendMessage(
      connect(),
      numbers(64),
      Array.from({ length: count }, () => file),
    );
  sendMessage(connect(), Buffer.alloc(32));
  closeSync(file);
  // They say nothing at all.
  for (let count = 0; count < 50; count++) connect();
  await expectWarm(t, rig, planner, 'with all of them connected');
  for (const peer of peers) peer.close();
  for (let count = 0; count < 2_000; count++) connectUnix(PLANNER_SOCKET, 'seqpacket').close();
  await expectWarm(t, rig, planner, 'after 2,000 that came and went');
  await planner.expectIdle(t);
}

async function silentAskers(t: Test, rig: Rig, planner: TestPlanner): Promise<void> {
  const peers = Array.from({ length: 50 }, () => connectUnix(CONTROL, 'seqpacket'));
  const begin = performance.now();
  await expectServed(t, rig, 'a command meanwhile');
  t.ok(performance.now() - begin < SOON_MS * slowness, 'waits for none of them');
  sendMessage(peers[0]?.number ?? -1, numbers(40_000));
  for (const peer of peers) peer.close();
  await expectWarm(t, rig, planner, 'after them');
  await planner.expectIdle(t);
}

async function exhausted(t: Test, rig: Rig, planner: TestPlanner): Promise<void> {
  const peers = Array.from({ length: MANY }, () => connectUnix(PLANNER_SOCKET, 'seqpacket'));
  for (let count = 0; count < 3; count++)
    await expectServed(t, rig, 'a command without a free descriptor of the planner');
  for (const peer of peers) peer.close();
  await expectWarm(t, rig, planner, 'when they are gone');
}

livePlanners('a launcher and what is no planner', async (t, rig) => {
  const planner = await TestPlanner.start(rig.path('planner.err'));
  await planner.end();
  rmSync(PLANNER_SOCKET, { force: true });

  for (const [name, { backlog = 16, answer }] of Object.entries(FAKES)) {
    await t.test(name, async (t) => {
      using listener = listenUnix(PLANNER_SOCKET, 'seqpacket', { mode: 0o600, backlog });
      setNonBlocking(listener.number);
      const taken: OwnedFd[] = [];
      const blocking = backlog === 0 ? [connectUnix(PLANNER_SOCKET, 'seqpacket')] : [];
      const timer =
        answer === undefined
          ? undefined
          : setInterval(() => {
              for (let peer = acceptUnix(listener.number); peer !== undefined; peer = acceptUnix(listener.number)) {
                taken.push(peer);
                answer(peer);
              }
            }, 1);
      const begin = performance.now();
      const bundle = rig.bundle({ args: ['sh', '-c', 'echo hi; exit 5'] });
      const result = await rig.start([LAUNCHER, '--root', rig.root, 'run', '--bundle', bundle, rig.id('fake')]).done;
      t.strictSame([result.code, result.stdout, result.stderr], [5, 'hi\n', '']);
      t.ok(performance.now() - begin < (SOON_MS + 3_000) * slowness, 'soon');
      clearInterval(timer);
      for (const peer of [...taken, ...blocking]) if (peer.isOpen) peer.close();
      rmSync(PLANNER_SOCKET);
    });
  }

  await t.test("another user's socket is told nothing", { skip: needsPython }, async (t) => {
    const mark = '/run/tsrun-planner/heard';
    const script = `import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind("${PLANNER_SOCKET}"); s.listen(5); print("ready", flush=True)
while True:
    c, _ = s.accept()
    if c.recv(100): open("${mark}", "w")`;
    chmodSync(PLANNER_DIRECTORY, 0o777);
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--reuid=65534', '--clear-groups', PYTHON, '-c', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await expectServed(t, rig, 'the command is carried out');
    t.notOk(existsSync(mark));
    child.kill('SIGKILL');
    await once(child, 'exit');
    chmodSync(PLANNER_DIRECTORY, 0o700);
    rmSync(PLANNER_SOCKET);
  });
});

interface Fake {
  readonly backlog?: number;
  /** Undefined: it takes no connection. */
  readonly answer?: (peer: OwnedFd) => void;
}

const FAKES: Readonly<Record<string, Fake>> = {
  'one whose backlog is full': { backlog: 0 },
  'one that takes no connection': {},
  'one that says nothing': { answer: () => undefined },
  'one that ends the connection at once': {
    answer(peer) {
      peer.close();
    },
  },
  'one that sends garbage': {
    answer(peer) {
      sendMessage(peer.number, numbers(4096));
    },
  },
  'one that sends a byte': {
    answer(peer) {
      sendMessage(peer.number, Buffer.of(1));
    },
  },
  'one that sends descriptors': {
    answer(peer) {
      sendMessage(peer.number, numbers(64), [peer.number, peer.number]);
    },
  },
  'one that sends as much as goes': {
    answer(peer) {
      setNonBlocking(peer.number);
      for (let count = 0; count < 8; count++) {
        try {
          sendMessage(peer.number, numbers(20_000));
        } catch {
          // The launcher has gone already.
        }
      }
    },
  },
};

livePlanners('callers that are not like the planner', async (t, rig) => {
  const planner = await TestPlanner.start(rig.path('planner.err'));
  const bundle = rig.bundle({ args: ['echo', 'hi'] });
  for (const [name, reason, under] of [
    ['in another mount namespace', 'surroundings', ['unshare', '--mount']],
    ['in another network namespace', 'surroundings', ['unshare', '--net']],
    ['in another IPC namespace', 'surroundings', ['unshare', '--ipc']],
    ['in another UTS namespace', 'surroundings', ['unshare', '--uts']],
    ['with another pid namespace', 'surroundings', ['unshare', '--pid', '--fork']],
    [
      'whose children get another pid namespace',
      'surroundings',
      ['nsenter', '--pid=/proc/self/ns/pid', 'unshare', '--pid', '--fork', '--mount-proc'],
    ],
    [
      'with another root directory',
      'surroundings',
      [
        'unshare',
        '--mount',
        'sh',
        '-c',
        'mkdir -p /run/other && mount --rbind / /run/other && exec chroot /run/other "$@"',
        'sh',
      ],
    ],
    ['with fewer capabilities', 'user', ['setpriv', '--bounding-set=-sys_time']],
    ['with no_new_privs', 'confined', ['setpriv', '--no-new-privs']],
    ['with a seccomp filter', 'confined', filtered()],
    ['that is traced', 'traced', ['strace', '-f', '-o', '/dev/null']],
  ] as const) {
    await t.test(name, { skip: under[0] === PYTHON ? needsPython : missingTools(under[0]) }, async (t) => {
      const before = planner.report();
      const result = await rig.start([
        ...under,
        LAUNCHER,
        '--root',
        rig.root,
        'run',
        '--bundle',
        bundle,
        rig.id('caller'),
      ]).done;
      expectSuccess(t, result);
      t.equal(result.stdout, 'hi\n');
      const after = planner.report();
      t.equal(after.warm, before.warm, 'the planner has not done it');
      t.equal((after.cold[reason] ?? 0) + after.lost, (before.cold[reason] ?? 0) + before.lost + 1, reason);
    });
  }
  await planner.finish(t);
});

/** Every call is allowed, and still it is a filter. */
function filtered(): readonly string[] {
  const script = `import ctypes, os, struct, sys
code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7fff0000))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 1, ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(22, 2, ctypes.c_void_p(ctypes.addressof(program)), 0, 0) != 0: sys.exit(99)
os.execv(sys.argv[1], sys.argv[1:])`;
  return [PYTHON, '-c', script];
}
