import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import type { Test } from 'tap';
import type { Seccomp } from '../../src/spec/generated/config.ts';
import { waitReadable } from '../../src/sys/events/poll.ts';
import { connectUnix, listenUnix, receiveMessage, sendMessage } from '../../src/sys/socket.ts';
import { expectSuccess, live, type BaseConfig, type Rig } from '../live/support/rig.ts';
import type { CommandResult } from '../live/support/command.ts';
import { SeccompAgent } from '../live/support/seccomp-agent.ts';
import { waitFor, waitForState } from '../live/support/wait.ts';
import { count } from './count.mjs';
import { randomFrom } from './mutate.ts';

/** Says what is wrong with a command that met a hostile peer: it may fail, but only in one clear line. */
function flawOf({ code, stderr, timedOut }: CommandResult): string | undefined {
  if (timedOut) return 'it hangs';
  if (/\n\s+at |bug:|bug in/.test(stderr)) return stderr;
  return code === 0 || stderr.includes('level=error') ? undefined : `exit code ${code ?? 'none'} without a message`;
}

/** Sockets and other files that are not what a caller should have named: name -> made at a path, undone by what it returns. */
const PEERS: Readonly<Record<string, (file: string) => Promise<() => void> | (() => void)>> = {
  'nothing at all': () => () => undefined,
  'a plain file': (file) => {
    writeFileSync(file, '');
    return () => undefined;
  },
  'a socket of another type': (file) => {
    const socket = listenUnix(file, 'datagram');
    return () => {
      socket.close();
    };
  },
  'somebody who never answers': (file) => {
    const socket = listenUnix(file, 'stream');
    return () => {
      socket.close();
    };
  },
  'somebody who takes nobody any more': (file) => {
    const socket = listenUnix(file, 'stream');
    // The backlog of one is full with two.
    const waiting = [connectUnix(file, 'stream'), connectUnix(file, 'stream')];
    return () => {
      for (const fd of [...waiting, socket]) fd.close();
    };
  },
  'somebody who hangs up': (file) =>
    serve(file, (end) => {
      end(Buffer.alloc(0));
    }),
  'somebody who talks without end': (file) =>
    serve(file, (end) => {
      end(Buffer.alloc(4_000_000, '{"fds":['));
    }),
};

function serve(file: string, answer: (end: (bytes: Buffer) => void) => void): Promise<() => void> {
  const server = createServer((connection) => {
    connection.on('error', () => undefined);
    answer((bytes) => connection.end(bytes));
    setTimeout(() => connection.destroy(), 200).unref();
  });
  return new Promise((resolve) => {
    server.listen(file, () => {
      resolve(() => server.close());
    });
  });
}

/** Tries every peer with one command; `run` is given the path of the peer and an id. */
async function tryPeers(
  t: Test,
  rig: Rig,
  run: (file: string, id: string) => Promise<CommandResult>,
  peers = Object.entries(PEERS),
): Promise<void> {
  for (const [name, make] of peers) {
    const file = rig.fresh('peer');
    const end = await make(file);
    const id = rig.id('peer');
    const result = await run(file, id);
    count('attacks tried');
    t.equal(flawOf(result), undefined, name);
    t.comment(`${name}: code ${result.code ?? 'none'} ${result.stderr.trim().slice(-150)}`);
    end();
    if (existsSync(path.join(rig.root, id))) {
      t.equal(result.code, 0, `${name}: a failure leaves no container`);
      await rig.delete(t, id);
    }
    t.strictSame(rig.leftovers(), [], name);
    rmSync(file, { force: true });
  }
}

live('hostile peers', async (t, rig) => {
  const options = { timeoutMs: 60_000 };

  await t.test('at the console socket', async (t) => {
    const bundle = rig.bundle({ args: ['sleep', '1000'], change: (config) => (config.process.terminal = true) });
    await tryPeers(t, rig, (file, id) =>
      rig.tsrun(['create', '--console-socket', file, '--bundle', bundle, id], options),
    );
  });

  await t.test('at the pidfd socket', async (t) => {
    const bundle = rig.bundle({ args: ['sleep', '1000'] });
    // Ten seconds that the console socket has spent already.
    const peers = Object.entries(PEERS).filter(([name]) => !name.startsWith('somebody who takes nobody'));
    await tryPeers(
      t,
      rig,
      (file, id) => rig.tsrun(['create', '--pidfd-socket', file, '--bundle', bundle, id], options),
      peers,
    );
  });

  await t.test('at the listenerPath of seccomp', async (t) => {
    await tryPeers(t, rig, (file, id) => {
      const bundle = rig.bundle({ args: ['true'], change: listening(file) });
      return rig.tsrun(['run', '--bundle', bundle, id], options);
    });
  });

  await t.test(
    'a seccomp agent that keeps its listener, or loses it, cannot keep a container from being deleted',
    async (t) => {
      const file = rig.path('agent.sock');
      using agent = new SeccompAgent(file);
      for (const loses of [false, true]) {
        const id = rig.id('agent');
        const bundle = rig.bundle({ args: 'mkdir /tmp/x; exec sleep 1000', change: listening(file) });
        const running = rig.startTsrun(['run', '--detach', '--bundle', bundle, id], options);
        const { listener } = await agent.accept();
        if (loses) listener.close();
        t.equal(flawOf(await running.done), undefined);
        count('attacks tried');
        await rig.delete(t, id);
        listener.close();
        t.strictSame(rig.leftovers(), []);
      }
    },
  );

  await t.test('at the notify socket: whatever a container says, only readiness goes on', async (t) => {
    const MUTANTS = 500;
    const hostPath = rig.path('manager.sock');
    using manager = listenUnix(hostPath, 'datagram');
    const env = { NOTIFY_SOCKET: hostPath };
    const id = rig.id('notify');
    const bundle = rig.bundle({ args: ['sleep', '1000'] });
    expectSuccess(t, await rig.tsrun(['create', '--bundle', bundle, id], { env }), 'create');
    const starting = rig.startTsrun(['start', id], { env, timeoutMs: 120_000 });
    await waitForState(rig, id, 'running');
    using program = connectUnix(path.join(rig.root, id, 'notify/notify.sock'), 'datagram');
    const random = randomFrom(1);
    for (let mutant = 0; mutant < MUTANTS; mutant++) {
      const bytes = Buffer.from(Array.from({ length: random() % 5000 }, () => random() % 256));
      const text = ['READY=0\n', 'XREADY=1', 'READY=1x', 'MAINPID=1\n', 'BARRIER=1', 'FDSTORE=1\n'][random() % 6] ?? '';
      // No line of it says that the program is ready.
      const body = bytes.toString('latin1').replaceAll('READY', '');
      const descriptors = mutant % 10 === 0 ? Array.from({ length: random() % 250 }, () => manager.number) : [];
      sendMessage(program.number, Buffer.from(`${text}${body}`, 'latin1'), descriptors);
      count('mutants run');
    }
    t.notOk(await waitReadable(manager.number, 300), 'nothing of it is passed on');
    sendMessage(program.number, Buffer.from('READY=1'));
    for (const wanted of [/^READY=1\n$/, /^MAINPID=\d+\n$/, /^BARRIER=1$/]) {
      t.ok(await waitReadable(manager.number, 20_000), 'a datagram comes');
      const { bytes, descriptors } = receiveMessage(manager.number, 4096);
      t.match(bytes.toString(), wanted);
      for (const descriptor of descriptors) descriptor.close();
    }
    expectSuccess(t, await starting.done, 'start');
    await rig.delete(t, id);
  });

  await t.test('a pipe on stdout that is full, or that nobody reads', async (t) => {
    const seen = rig.fresh('seen');
    const fill = 'head -c 65536 /dev/zero';
    const features = rig
      .tsrunArgv(['features'])
      .map((word) => `'${word}'`)
      .join(' ');
    const slow = await rig.start(['sh', '-c', `{ ${fill}; ${features}; } | { sleep 1; tail -c +65537; } >${seen}`])
      .done;
    t.equal(slow.code, 0, slow.stderr);
    t.match(JSON.parse(readFileSync(seen, 'utf8')), { ociVersionMin: String }, 'all of it arrives');
    const closed = await rig.start(['sh', '-c', `{ sleep 0.2; ${features}; } | true`], options).done;
    t.equal(closed.timedOut, false);
    t.notMatch(closed.stderr, /\n\s+at |bug/);
    count('attacks tried', 2);
    // A container whose output nobody takes: it waits, tsrun does not.
    const id = rig.id('full');
    const bundle = rig.bundle({ args: 'while :; do echo full; done' });
    const run = rig.tsrunArgv(['run', '--detach', '--bundle', bundle, id]).map((word) => `'${word}'`);
    const holder = rig.start(['sh', '-c', `${run.join(' ')} | sleep 10`]);
    await waitFor(() => existsSync(path.join(rig.root, id, 'state.json')), 30_000);
    await waitForState(rig, id, 'running');
    await rig.delete(t, id);
    await holder.done;
    count('attacks tried');
    t.strictSame(rig.leftovers(), []);
  });
});

function listening(listenerPath: string): (config: BaseConfig) => void {
  const seccomp: Seccomp = {
    defaultAction: 'SCMP_ACT_ALLOW',
    listenerPath,
    syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_NOTIFY' }],
  };
  return (config) => {
    config.linux.seccomp = seccomp;
    config.process.noNewPrivileges = true;
  };
}
