import { mkdirSync, openSync, closeSync, readFileSync, statSync } from 'node:fs';
import { OwnedFd } from '../../src/sys/fd.ts';
import { waitReadable } from '../../src/sys/events/poll.ts';
import { bindLibc } from '../../src/sys/library.ts';
import { listenUnix, receiveMessage } from '../../src/sys/socket.ts';
import { removeNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, readStatusField } from './support/rig.ts';
import { missingTools } from './support/surroundings.ts';
import { isRunning, waitFor, waitForState } from './support/wait.ts';

const accept = bindLibc('int accept(int fd, void *address, void *length)');

live('standard descriptors', async (t, rig) => {
  await t.test("the host's /dev/null becomes the container's own", async (t) => {
    const [id, pidFile] = [rig.id('null'), rig.fresh('pid')];
    const nothing = openSync('/dev/null', 'r+');
    const flags = ['run', '--detach', '--pid-file', pidFile, '--bundle', rig.bundle({ args: ['sleep', '1000'] }), id];
    expectSuccess(t, await rig.tsrun(flags), 'run');
    const pid = readFileSync(pidFile, 'utf8');
    const own = statSync(`/proc/${pid}/root/dev/null`);
    const stdin = statSync(`/proc/${pid}/fd/0`);
    t.equal(stdin.rdev, 0x103);
    t.strictSame([stdin.dev, stdin.ino], [own.dev, own.ino], 'the file of the container');
    t.not(stdin.dev, statSync('/dev/null').dev, 'not that of the host');
    closeSync(nothing);
    await rig.delete(t, id);
  });

  await t.test('an image with something else at /dev/null is not let in', async (t) => {
    const pidFile = rig.fresh('pid');
    const id = rig.id('fake');
    const bundle = rig.bundle({
      args: ['sleep', '1000'],
      change: (config) => {
        config.mounts = config.mounts.filter(({ destination }) => !destination.startsWith('/dev'));
        config.linux.maskedPaths = [];
        config.mounts.push({ destination: '/dev', type: 'bind', source: rig.path('dev'), options: ['bind'] });
      },
    });
    mkdirSync(rig.path('dev'));
    const secret = openSync(rig.path('dev/null'), 'w');
    closeSync(secret);
    const flags = ['run', '--detach', '--pid-file', pidFile, '--bundle', bundle, id];
    expectSuccess(t, await rig.tsrun(flags), 'run');
    t.equal(statSync(`/proc/${readFileSync(pidFile, 'utf8')}/fd/0`).rdev, 0x103, 'it stays what it was');
    await rig.delete(t, id);
  });

  await t.test('the end of standard input arrives', async (t) => {
    const result = await rig.run({ args: 'cat; echo end' }, { stdin: 'text\n' });
    t.equal(result.stdout, 'text\nend\n');
    const { id } = await rig.sleeper(t);
    t.equal((await rig.tsrun(['exec', id, 'sh', '-c', 'cat; echo end'], { stdin: 'x\n' })).stdout, 'x\nend\n');
    await rig.delete(t, id);
  });
});

live('a console socket', async (t, rig) => {
  const socket = rig.path('console.sock');
  using listener = listenUnix(socket, 'stream');
  const receiveMaster = async (): Promise<OwnedFd> => {
    t.ok(await waitReadable(listener.number, 20_000), 'somebody connects');
    using connection = new OwnedFd(accept(listener.number, null, null));
    const { descriptors } = receiveMessage(connection.number, 4096);
    const [master] = descriptors;
    if (master === undefined) throw new Error('no descriptor came');
    return master;
  };
  /** What appears on a terminal until a word does. */
  const readUntil = async (master: OwnedFd, word: string): Promise<string> => {
    const read = bindLibc('long read(int fd, void *bytes, size_t count)');
    let text = '';
    while (!text.includes(word) && (await waitReadable(master.number, 20_000))) {
      const buffer = Buffer.alloc(4096);
      const count = read(master.number, buffer, buffer.length);
      if (count <= 0) break;
      text += buffer.toString('utf8', 0, count);
    }
    return text;
  };

  await t.test(
    'create and run --detach send the master; the size and the controlling terminal are right',
    async (t) => {
      const script = 'tty; stty size; ps -o tty,args; echo fin; sleep 1000';
      const bundle = rig.bundle({
        args: script,
        change: (config) => {
          config.process.terminal = true;
          config.process.consoleSize = { height: 44, width: 111 };
        },
      });
      for (const command of ['create', 'run'] as const) {
        const id = rig.id(command);
        const flags = ['--console-socket', socket, '--bundle', bundle, id];
        expectSuccess(t, await rig.tsrun([command, ...(command === 'run' ? ['--detach'] : []), ...flags]), command);
        using master = await receiveMaster();
        if (command === 'create') expectSuccess(t, await rig.tsrun(['start', id]), 'start');
        const text = await readUntil(master, 'fin');
        t.match(text, /\/dev\/(console|pts\/0)\r\n44 111\r\n/, command);
        t.match(text, /136,0 +/, 'it is the controlling terminal');
        await rig.delete(t, id);
      }
    },
  );

  await t.test('exec --tty --detach sends it; the wrong combinations are refused', async (t) => {
    const { id } = await rig.sleeper(t);
    const flags = [
      'exec',
      '--tty',
      '--detach',
      '--console-socket',
      socket,
      id,
      'sh',
      '-c',
      'tty; echo fin; sleep 1000',
    ];
    expectSuccess(t, await rig.tsrun(flags), 'exec');
    using master = await receiveMaster();
    t.match(await readUntil(master, 'fin'), /\/dev\/pts\/0\r\nfin/);
    const missing = await rig.tsrun(['exec', '--tty', '--detach', id, 'true']);
    const words = 'cannot allocate tty if tsrun will detach without setting console socket';
    t.match(missing.stderr, words);
    t.not(missing.code, 0);
    const odd = await rig.tsrun(['exec', '--tty', '--console-socket', socket, id, 'true']);
    t.match(odd.stderr, 'cannot use console socket if tsrun will not detach or allocate tty');
    t.not(odd.code, 0);
    await rig.delete(t, id);
  });
});

live('a terminal in the foreground', async (t, rig) => {
  const command = (...args: readonly string[]): string => rig.tsrunArgv(args).join(' ');
  const onTerminal = (script: string) => rig.start(['script', '-qec', script, '/dev/null']);
  const tty = { change: (config: { process: { terminal?: boolean } }) => (config.process.terminal = true) };

  await t.test('the modes of the terminal are restored, however it ends', async (t) => {
    const { id } = await rig.sleeper(t);
    const ends = [
      command('run', '--bundle', rig.bundle({ args: 'exit 3', ...tty }), rig.id('tty')),
      command('run', '--bundle', rig.bundle({ args: ['no-such-program'], ...tty }), rig.id('tty')),
      command('exec', '--tty', id, 'true'),
      command('exec', '--tty', id, 'sh', '-c', '"sleep 1000 & exit 4"'),
      command('exec', '--tty', id, 'sh', '-c', "'kill -9 $$'"),
    ];
    for (const end of ends) {
      const { stdout, timedOut } = await onTerminal(
        `stty -a >${rig.path('before')}; ${end}; stty -a >${rig.path('after')}`,
      ).done;
      t.notOk(timedOut, `${end}: ${stdout}`);
      t.equal(readFileSync(rig.path('after'), 'utf8'), readFileSync(rig.path('before'), 'utf8'), end);
    }
    await rig.delete(t, id);
  });

  await t.test('a new size of the terminal arrives, and the exit code comes back', async (t) => {
    const { id } = await rig.sleeper(t);
    const script = 'trap "stty size; exit 6" WINCH; echo ready; while :; do sleep 0.02; done';
    const args = rig.tsrunArgv(['exec', '--tty', id, 'sh', '-c', `'${script}'`]).join(' ');
    const resize = '(while ! grep -q ready LOG; do sleep 0.05; done; stty rows 55 cols 66 <$(tty)) & '.replaceAll(
      'LOG',
      rig.path('log'),
    );
    const inner = `tty=$(tty); ${resize.replace('$(tty)', '$tty')} ${args} | tee ${rig.path('log')}; exit 0`;
    // Output through tee: standard input alone is the terminal.
    const { stdout, timedOut } = await onTerminal(`bash -c '${inner.replaceAll("'", `'"'"'`)}'`).done;
    t.notOk(timedOut, stdout);
    t.match(stdout, /55 66/);
    await rig.delete(t, id);
  });
});

live('tsrun and its surroundings', async (t, rig) => {
  await t.test('every signal that can be caught goes to the program', async (t) => {
    const names = ['HUP', 'INT', 'QUIT', 'USR1', 'USR2', 'PIPE', 'ALRM', 'TERM', 'CONT', 'TSTP', 'TTIN', 'TTOU', 'PWR'];
    const traps = names.map((name) => `trap "echo got ${name}" ${name}`).join('; ');
    const id = rig.id('signals');
    const bundle = rig.bundle({ args: `${traps}; trap "exit 9" XCPU; echo ready; while :; do sleep 0.01; done` });
    const running = rig.startTsrun(['run', '--bundle', bundle, id]);
    await waitFor(() => running.output().includes('ready'));
    for (const name of names) {
      process.kill(running.pid, `SIG${name}` as NodeJS.Signals);
      await waitFor(() => running.output().includes(`got ${name}\n`));
    }
    for (const name of ['SIGCHLD', 'SIGWINCH', 'SIGURG'] as const) process.kill(running.pid, name);
    process.kill(running.pid, 'SIGXCPU');
    t.equal((await running.done).code, 9);
  });

  await t.test('orphans of the container are adopted and reaped, unless --no-subreaper', async (t) => {
    // Without a pid namespace nobody else takes care of them. The middle process ends; its child is an orphan, and ends too.
    const script = 'sh -c "sleep 0.3 & echo orphan \\$!"; echo ready; sleep 1000';
    const bundle = rig.bundle({
      args: script,
      change: (config) => {
        removeNamespace(config, 'pid');
      },
    });
    for (const flags of [[], ['--no-subreaper']]) {
      const id = rig.id('orphan');
      const running = rig.startTsrun(['run', ...flags, '--bundle', bundle, id]);
      await waitFor(() => running.output().includes('ready'));
      const orphan = Number(/orphan (\d+)/.exec(running.output())?.[1]);
      const parent = isRunning(orphan) ? Number(readStatusField(orphan, 'PPid')) : 0;
      t.equal(parent === running.pid, flags.length === 0, `${flags.join()}: the parent is ${parent}`);
      await waitFor(() => !isRunning(orphan));
      if (flags.length === 0) await waitFor(() => !exists(`/proc/${orphan}`));
      expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
      t.equal((await running.done).code, 137);
    }
    t.strictSame(rig.leftovers(), []);
  });

  await t.test(
    "a parent-death signal of the caller's is not the container's",
    { skip: missingTools('setpriv') },
    async (t) => {
      // As containerd's shim starts its runtime. The container outlives the runtime, and the one that started it.
      const under = ['setpriv', '--pdeathsig', 'KILL'];
      const id = rig.id('pdeathsig');
      const bundle = rig.bundle({
        args: ['sleep', '1000'],
        change: (config) => (config.process.user = { uid: 1000, gid: 1000 }),
      });
      const argv = [...under, ...rig.tsrunArgv(['run', '--detach', '--bundle', bundle, id])];
      const { code, stderr } = await rig.start(['sh', '-c', '"$@" & wait $!', 'sh', ...argv]).done;
      t.equal(code, 0, stderr);
      t.equal((await rig.state(id)).status, 'running');
      await rig.delete(t, id);
      const created = rig.id('pdeathsig');
      expectSuccess(t, await rig.tsrun(['create', '--bundle', bundle, created], { under }), 'create');
      t.equal((await rig.state(created)).status, 'created');
      expectSuccess(t, await rig.tsrun(['start', created], { under }), 'start');
      t.equal((await rig.state(created)).status, 'running');
      await rig.delete(t, created);
    },
  );

  await t.test(
    'paths of options count from the working directory, and a pid file is whole when create returns',
    async (t) => {
      const cwd = rig.fresh('cwd');
      mkdirSync(cwd);
      const id = rig.id('relative');
      expectSuccess(
        t,
        await rig.tsrun(['create', '--bundle', rig.bundle(), '--pid-file', 'pid', id], { cwd }),
        'create',
      );
      t.equal(readFileSync(`${cwd}/pid`, 'utf8'), String((await rig.state(id)).pid));
      await rig.delete(t, id);
      const failed = await rig.tsrun(['run', '--bundle', rig.bundle(), '--pid-file', 'none/pid', rig.id('none')], {
        cwd,
      });
      expectFailure(t, failed, { message: /write pid file .*none\/pid.*ENOENT/ });
      t.strictSame(rig.leftovers(), []);
    },
  );

  await t.test('run --keep keeps it, and nobody stays beside the container after start', async (t) => {
    const { id, pid } = await rig.sleeper(t);
    await waitForState(rig, id, 'running');
    const pidFile = rig.fresh('pid');
    expectSuccess(t, await rig.tsrun(['exec', '--detach', '--pid-file', pidFile, id, 'sleep', '1000']), 'exec');
    const processes = rig.leftovers().filter((line) => line.startsWith('process '));
    t.equal(processes.length, 2, processes.join('\n'));
    for (const each of [pid, Number(readFileSync(pidFile, 'utf8'))])
      t.not(readStatusField(Number(readStatusField(each, 'PPid')), 'Name'), 'tsrun:init', 'its parent is no init');
    await rig.delete(t, id);
  });
});

function exists(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch {
    return false;
  }
}
