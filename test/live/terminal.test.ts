import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { pipe } from '../../src/sys/pipe.ts';
import { waitReadable } from '../../src/sys/events/poll.ts';
import type { BaseConfig, Rig } from './support/rig.ts';
import { live } from './support/rig.ts';
import { missingTools } from './support/surroundings.ts';
import { Terminal } from './support/terminal.ts';
import { waitFor } from './support/wait.ts';

const fileOf = (name: string): string => fileURLToPath(new URL(`../../dist/${name}`, import.meta.url));

/** Both builds, whichever the other tests run: their engines wait, write and take signals in different ways. */
const BUILDS: readonly { name: string; file: string; argv: readonly string[] }[] = [
  { name: 'node', file: fileOf('bin/main.js'), argv: [process.execPath, fileOf('bin/main.js')] },
  { name: 'executable', file: fileOf('tsrun'), argv: [fileOf('tsrun')] },
];

/** What leaves an engine few threads. */
const SETTINGS: readonly { name: string; under: readonly string[]; env: Readonly<Record<string, string>> }[] = [
  { name: 'all processors', under: [], env: {} },
  { name: 'one processor', under: ['taskset', '-c', '0'], env: {} },
  { name: 'a pool of one thread', under: [], env: { UV_THREADPOOL_SIZE: '1' } },
];

interface Setting {
  readonly t: Test;
  readonly rig: Rig;
  /** The command line of tsrun with these arguments. */
  readonly command: (...args: readonly string[]) => string[];
  readonly env: Readonly<Record<string, string>>;
}

/** One test for each build in each setting. */
function inEachSetting(topic: string, body: (setting: Setting) => Promise<void>): void {
  live(topic, async (t, rig) => {
    for (const build of BUILDS) {
      for (const { name, under, env } of SETTINGS) {
        const skip = missingTools('taskset', 'setsid') || (existsSync(build.file) ? false : `no ${build.file}`);
        await t.test(`${build.name}, ${name}`, { skip }, async (t) => {
          const command = (...args: readonly string[]): string[] => [
            ...under,
            ...build.argv,
            '--root',
            rig.root,
            ...args,
          ];
          await body({ t, rig, command, env });
        });
      }
    }
  });
}

function onTerminal(config: BaseConfig): void {
  config.process.terminal = true;
}

inEachSetting('what a program prints on its terminal comes at once, and what is typed arrives', async (setting) => {
  const { t, rig, command, env } = setting;
  using terminal = new Terminal();
  const bundle = rig.bundle({ args: 'echo up; read line; echo "got $line"; exit 3', change: onTerminal });
  const { done } = terminal.start(command('run', '--bundle', bundle, rig.id('tty')), { env });
  await terminal.readUntil('up\r\n');
  terminal.type('abc\r');
  await terminal.readUntil('got abc\r\n');
  t.equal(await done, 3);
});

inEachSetting('much output arrives whole, also its last piece', async ({ t, rig, command, env }) => {
  using terminal = new Terminal();
  const bundle = rig.bundle({ args: 'seq 1 20000; echo end', change: onTerminal });
  const { done } = terminal.start(command('run', '--bundle', bundle, rig.id('much')), { env });
  const text = await terminal.readUntil('end\r\n');
  const wanted = Array.from({ length: 20_000 }, (_, index) => `${index + 1}\r\n`).join('');
  t.ok(text.includes(wanted));
  t.equal(await done, 0);
});

const HUP_IS_5 = 'trap "exit 5" HUP; trap "exit 6" PIPE; echo up; while :; do sleep 0.02; done';

inEachSetting('a terminal that hangs up is told to the program, whose exit code comes', async (setting) => {
  const { t, rig, command, env } = setting;
  for (const change of [onTerminal, () => undefined]) {
    using terminal = new Terminal();
    using errors = openErrors(rig);
    const id = rig.id('hup');
    const bundle = rig.bundle({ args: HUP_IS_5, change });
    const { done } = terminal.start(command('run', '--bundle', bundle, id), { env, stderr: errors.fd });
    await terminal.readUntil('up\r\n');
    terminal.hangUp();
    t.equal(await done, 5, errors.text());
    t.match((await rig.tsrun(['state', id])).stderr, 'does not exist', 'it was waited for, and deleted');
  }
});

inEachSetting('a terminal that only the descriptors are of hangs up in the same way', async (setting) => {
  const { t, rig, command, env } = setting;
  using session = new Terminal();
  using terminal = new Terminal();
  const { number } = terminal.slave;
  const bundle = rig.bundle({ args: HUP_IS_5, change: onTerminal });
  const argv = command('run', '--bundle', bundle, rig.id('hup'));
  const { done } = session.start(argv, { env, stdin: number, stdout: number });
  await terminal.readUntil('up\r\n');
  terminal.hangUp();
  t.equal(await done, 5);
});

inEachSetting('nobody takes the output of a terminal any more', async ({ t, rig, command, env }) => {
  using terminal = new Terminal();
  using errors = openErrors(rig);
  const [reader, writer] = pipe();
  const script = 'trap "exit 5" HUP; trap "exit 6" PIPE; echo up; read line; while :; do echo more; sleep 0.02; done';
  const bundle = rig.bundle({ args: script, change: onTerminal });
  const argv = command('run', '--bundle', bundle, rig.id('head'));
  const { done } = terminal.start(argv, { env, stdout: writer.number, stderr: errors.fd });
  writer.close();
  t.ok(await waitReadable(reader.number, 20_000));
  reader.close();
  terminal.type('go\r');
  t.equal(await done, 5, errors.text());
});

inEachSetting("the modes of a terminal are the shell's, until tsrun comes into the foreground", async (setting) => {
  const { t, rig, command, env } = setting;
  using terminal = new Terminal();
  const args = 'stty -echo -icanon; echo up; echo "got $(head -c 1)"; exit 4';
  const run = command('run', '--bundle', rig.bundle({ args, change: onTerminal }), rig.id('background'));
  const script = 'set -m; "$@" & read line; stty -a | tr " " "\\n" | grep icanon; fg; echo "code $?"; stty -a';
  const { done } = terminal.start(['sh', '-c', script, 'sh', ...run], { env });
  await terminal.readUntil('up\r\n');
  terminal.type('\n');
  t.notMatch(await terminal.readUntil('icanon'), '-icanon');
  // Without a line feed it arrives as a key alone.
  terminal.type('x');
  await terminal.readUntil('got x');
  await terminal.readUntil('code 4');
  t.notMatch(await terminal.readUntil(' icanon'), '-icanon');
  t.equal(await done, 0);
});

inEachSetting('signals without a name in the engine are forwarded as well', async ({ t, rig, command, env }) => {
  const numbers = [34, 37, 64, 16, 27, 30, 10, 13, 15];
  const traps = numbers.map((number) => `trap "echo got ${number}," ${number}`).join('; ');
  const id = rig.id('signals');
  const bundle = rig.bundle({ args: `${traps}; trap "exit 8" 35; echo ready; while :; do sleep 0.01; done` });
  const running = rig.start(command('run', '--bundle', bundle, id), { env });
  await waitFor(() => running.output().includes('ready'));
  for (const number of numbers) {
    process.kill(running.pid, number);
    await waitFor(() => running.output().includes(`got ${number},`));
  }
  process.kill(running.pid, 35);
  const { code, stderr } = await running.done;
  t.equal(code, 8, stderr);
});

inEachSetting('a fault of the engine itself ends it', async ({ t, rig, command, env }) => {
  for (const signal of ['SIGSEGV', 'SIGBUS', 'SIGSYS'] as const) {
    const id = rig.id('fault');
    const bundle = rig.bundle({ args: 'echo ready; while :; do sleep 0.01; done' });
    const running = rig.start(command('run', '--bundle', bundle, id), { env });
    await waitFor(() => running.output().includes('ready'));
    process.kill(running.pid, signal);
    const result = await running.done;
    t.notOk(result.timedOut, signal);
    t.not(result.code, 0, signal);
    await rig.delete(t, id);
  }
});

inEachSetting('another descriptor stands in for standard input as the terminal', async (setting) => {
  const { t, rig, command, env } = setting;
  const bundle = rig.bundle({ args: 'stty size; echo end', change: onTerminal });
  for (const stderr of ['ignore', undefined] as const) {
    using terminal = new Terminal({ rows: 31, columns: 91 });
    const argv = command('run', '--bundle', bundle, rig.id('no-stdin'));
    const { done } = terminal.start(argv, { env, stdin: 'ignore', ...(stderr === undefined ? {} : { stderr }) });
    t.match(await terminal.readUntil('end\r\n'), '31 91\r\n');
    t.equal(await done, 0);
  }
  // None of the three, but the session has one.
  using terminal = new Terminal({ rows: 32, columns: 92 });
  const [reader, writer] = pipe();
  using _reader = reader;
  const argv = command('run', '--bundle', bundle, rig.id('no-stdio'));
  const { done } = terminal.start(argv, { env, stdin: 'ignore', stdout: writer.number, stderr: 'ignore' });
  writer.close();
  t.equal(await done, 0);
  t.match(readFileSync(reader.number, 'utf8'), '32 92');
});

inEachSetting('consoleSize is the size until the terminal has another', async ({ t, rig, command, env }) => {
  using terminal = new Terminal({ rows: 30, columns: 90 });
  const script = 'trap "stty size; exit 6" WINCH; stty size; echo ready; while :; do sleep 0.02; done';
  const bundle = rig.bundle({
    args: script,
    change: (config) => {
      config.process.terminal = true;
      config.process.consoleSize = { height: 44, width: 111 };
    },
  });
  const { done } = terminal.start(command('run', '--bundle', bundle, rig.id('size')), { env });
  t.match(await terminal.readUntil('ready\r\n'), '44 111\r\n');
  terminal.resize({ rows: 55, columns: 66 });
  await terminal.readUntil('55 66\r\n');
  t.equal(await done, 6);
});

inEachSetting("a program without a terminal gets nothing of the caller's", async ({ t, rig, command, env }) => {
  using terminal = new Terminal();
  const owner = fstatSync(terminal.slave.number);
  const asUser = (config: BaseConfig): void => {
    config.process.user = { uid: 1000, gid: 1000 };
  };
  const script =
    'for n in 0 1 2; do readlink /proc/$$/fd/$n; done; echo anew >/dev/stdout; echo wrong >&2; read a; echo "got $a"; cat; exit 4';
  const bundle = rig.bundle({ args: script, change: asUser });
  const running = terminal.start(command('run', '--bundle', bundle, rig.id('pipes')), { env });
  t.match(await terminal.readUntil('wrong\r\n'), /^(pipe:.*\r\n){3}anew\r\nwrong\r\n/);
  terminal.type('abc\r');
  await terminal.readUntil('got abc\r\n');
  // Control-D, the end of the input.
  terminal.type('\x04');
  t.equal(await running.done, 4);
  const sleeper = rig.id('sleeper');
  const detached = rig.bundle({ args: ['sleep', '1000'], change: asUser });
  t.equal(await terminal.start(command('run', '--detach', '--bundle', detached, sleeper), { env }).done, 0);
  const exec = ['exec', sleeper, 'sh', '-c', 'sleep 1000 & echo child; readlink /proc/$!/fd/1; exit 7'];
  t.equal(await terminal.start(command(...exec), { env }).done, 7, 'what the program leaves behind is not waited for');
  t.match(await terminal.readUntil('child\r\npipe:'), 'child', 'and has nothing of the terminal');
  t.equal(await terminal.start(command('exec', '--detach', sleeper, 'true'), { env }).done, 0);
  const now = fstatSync(terminal.slave.number);
  t.strictSame([now.uid, now.gid, now.mode], [owner.uid, owner.gid, owner.mode], 'the terminal has the owner it had');
  await rig.delete(t, sleeper);
});

live('a program starts with the signals that the caller has blocked and ignored', async (t, rig) => {
  const script = 'grep -E "^Sig(Blk|Ign):" /proc/self/status; sleep 1000';
  for (const build of BUILDS) {
    const skip = missingTools('env') || (existsSync(build.file) ? false : `no ${build.file}`);
    await t.test(build.name, { skip }, async (t) => {
      const id = rig.id('mask');
      const bundle = rig.bundle({ args: script });
      const under = ['env', '--ignore-signal=USR1', '--block-signal=USR2'];
      const argv = [...under, ...build.argv, '--root', rig.root, 'run', '--detach', '--bundle', bundle, id];
      const running = rig.start(argv);
      t.equal((await running.done).code, 0);
      await waitFor(() => running.output().includes('SigIgn'));
      // Node has forgotten both before any of its programs runs; what it does for itself reaches no container.
      const [blocked, ignored] = build.name === 'node' ? ['0000', '0000'] : ['0800', '0200'];
      t.match(running.output(), new RegExp(`SigBlk:\\t0{12}${blocked}\\nSigIgn:\\t0{12}${ignored}\\n`));
      await rig.delete(t, id);
    });
  }
});

live('few processes are left to the caller', async (t, rig) => {
  const cgroup = pidsCgroup();
  const executable = BUILDS.find(({ name }) => name === 'executable');
  const isThere = executable !== undefined && existsSync(executable.file);
  const skip = cgroup === undefined ? 'needs the pids controller of cgroup v1' : !isThere && 'needs the executable';
  await t.test('a message, or the container, and no waiting', { skip }, async (t) => {
    const own = `${cgroup ?? ''}/${rig.prefix}-few`;
    mkdirSync(own);
    try {
      for (const limit of [3, 4, 5, 6, 8]) {
        writeFileSync(`${own}/pids.max`, String(limit));
        const enter = `echo $$ >${own}/cgroup.procs; exec "$@"`;
        const bundle = rig.bundle({ args: 'echo ready' });
        const argv = [...(executable?.argv ?? []), '--root', rig.root, 'run', '--bundle', bundle, rig.id('few')];
        const { code, stdout, stderr, timedOut } = await rig.start(['sh', '-c', enter, 'sh', ...argv]).done;
        t.notOk(timedOut, `${limit}: ends`);
        if (code === 0) t.equal(stdout, 'ready\n', `${limit}: runs`);
        else t.match(stderr, /level=error.*EAGAIN/, `${limit}: says why`);
        if (limit >= 6) t.equal(code, 0, `${limit} are enough`);
      }
    } finally {
      rmdirSync(own);
    }
  });
});

/** The one of this process. */
function pidsCgroup(): string | undefined {
  const path = /^\d+:pids:(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'latin1'))?.[1];
  const directory = path === undefined ? undefined : `/sys/fs/cgroup/pids${path}`;
  return directory !== undefined && existsSync(`${directory}/cgroup.procs`) ? directory : undefined;
}

live('a run that cannot wait for its program', async (t, rig) => {
  await t.test('ends it, says so, and leaves nothing', { skip: missingTools('strace') }, async (t) => {
    const id = rig.id('supervision');
    const bundle = rig.bundle({ args: ['sleep', '1000'] });
    // The first look at the child is the one after its start.
    const under = ['strace', '-f', '-o', '/dev/null', '-e', 'trace=waitid', '-e', 'inject=waitid:error=EFAULT:when=1'];
    const result = await rig.tsrun(['run', '--bundle', bundle, id], { under });
    t.notOk(result.timedOut);
    t.match(result.stderr, /wait for process \d+: .*EFAULT/);
    t.not(result.code, 0);
    t.match((await rig.tsrun(['state', id])).stderr, 'does not exist');
    t.strictSame(rig.leftovers(), [], 'no process is left');
  });
});

live(
  'what a caller lends in the foreground keeps its owner, what is made for a container gets another',
  async (t, rig) => {
    const change = (config: BaseConfig): void => {
      config.process.user = { uid: 1000, gid: 1000 };
    };
    for (const detach of [false, true]) {
      const id = rig.id('owner');
      const running = rig.startTsrun([
        'run',
        ...(detach ? ['--detach'] : []),
        '--bundle',
        rig.bundle({ args: 'echo ready; sleep 1000', change }),
        id,
      ]);
      await waitFor(() => running.output().includes('ready'));
      const { pid } = await rig.state(id);
      const fd = openSync(`/proc/${pid}/fd/1`, 'r');
      t.equal(fstatSync(fd).uid, detach ? 1000 : 0, detach ? 'detached' : 'foreground');
      closeSync(fd);
      await rig.delete(t, id);
      await running.done;
    }
  },
);

/** A file for standard error, and what is in it. */
function openErrors(rig: Rig): Disposable & { readonly fd: number; readonly text: () => string } {
  const file = rig.fresh('errors');
  const fd = openSync(file, 'a');
  return {
    fd,
    text: () => readFileSync(file, 'utf8'),
    [Symbol.dispose]: () => {
      closeSync(fd);
    },
  };
}
