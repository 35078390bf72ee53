import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { removeNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, type State } from './support/rig.ts';
import { isRunning, waitFor, waitForEnd, waitForState } from './support/wait.ts';
import { findTool, missingTools, needsRoot, testUser } from './support/surroundings.ts';

const run = promisify(execFile);

live('create, start, kill, delete', async (t, rig) => {
  await t.test('a container goes through its statuses, and each refuses what does not fit', async (t) => {
    const id = rig.id('life');
    const bundle = rig.bundle({
      args: ['sleep', '1000'],
      change: (config) => (config.annotations = { 'org.example.key': 'value' }),
    });
    for (const command of ['start', 'state', 'kill', 'delete', 'exec']) {
      const args = command === 'exec' ? [command, id, 'true'] : [command, id];
      expectFailure(t, await rig.tsrun(args), { code: command === 'exec' ? 255 : 1, message: 'does not exist' });
    }
    const pidFile = rig.fresh('pid');
    const created = await rig.tsrun(['create', '--bundle', bundle, '--pid-file', pidFile, id]);
    expectSuccess(t, created, 'create');
    t.match(readFileSync(pidFile, 'utf8'), /^[1-9]\d*$/, 'the pid file holds a decimal number and no newline');
    const state = await rig.state(id);
    t.match(state, { ociVersion: /^1\.\d+\.\d+$/, id, status: 'created', bundle, rootfs: rig.rootfs, owner: '' });
    t.equal(state.pid, Number(readFileSync(pidFile, 'utf8')), 'the pid of the pid file');
    t.strictSame(state.annotations, { 'org.example.key': 'value' });
    t.match(state.created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/, 'the time is RFC 3339');
    expectFailure(t, await rig.tsrun(['create', '--bundle', bundle, id]), { message: 'already exists' });
    t.equal((await rig.state(id)).status, 'created', 'a second create changes nothing');

    expectSuccess(t, await rig.tsrun(['start', id]), 'start');
    t.equal((await rig.state(id)).status, 'running');
    t.equal((await rig.state(id)).pid, state.pid, 'the program is the process that was created');
    t.equal(readFileSync(`/proc/${state.pid}/cmdline`, 'utf8'), 'sleep\x001000\x00');
    expectFailure(t, await rig.tsrun(['start', id]), { message: 'cannot start an already running container' });
    expectFailure(t, await rig.tsrun(['delete', id]), {
      message: `cannot delete container ${id} that is not stopped: running`,
    });
    expectFailure(t, await rig.tsrun(['create', '--bundle', bundle, id]), { message: 'already exists' });
    t.equal((await rig.state(id)).status, 'running', 'the refusals changed nothing');

    expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
    await waitForEnd(state.pid);
    const stopped = await rig.state(id);
    t.equal(stopped.status, 'stopped');
    t.equal(stopped.pid, 0, 'no pid when it is stopped');
    expectFailure(t, await rig.tsrun(['kill', id, 'TERM']), { message: /[" ]container not running: /m });
    expectFailure(t, await rig.tsrun(['start', id]), { message: 'cannot start a container that has stopped' });
    expectFailure(t, await rig.tsrun(['exec', id, 'true']), {
      code: 255,
      message: 'cannot exec in a stopped container',
    });
    expectSuccess(t, await rig.tsrun(['delete', id]), 'delete');
    expectFailure(t, await rig.tsrun(['state', id]), { message: 'does not exist' });
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('delete takes a created container, unless it is --strict', async (t) => {
    const { id, pid } = await rig.create(t);
    expectFailure(t, await rig.tsrun(['delete', '--strict', id]), { message: 'that is not stopped: created' });
    t.ok(isRunning(pid), 'nothing has happened to it');
    t.equal((await rig.state(id)).status, 'created');
    for (const flags of [[], ['--force'], ['--force', '--strict']]) {
      const other = flags.length === 0 ? { id, pid } : await rig.create(t);
      expectSuccess(t, await rig.tsrun(['delete', ...flags, other.id]), `delete ${flags.join(' ')}`);
      t.notOk(isRunning(other.pid), 'init is gone');
    }
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('delete takes a created container that is paused, and one without a pid namespace', async (t) => {
    const paused = await rig.create(t);
    expectSuccess(t, await rig.tsrun(['pause', paused.id]), 'pause');
    const shared = await rig.create(t, {
      change: (config) => {
        removeNamespace(config, 'pid');
      },
    });
    for (const { id, pid } of [paused, shared]) {
      expectSuccess(t, await rig.tsrun(['delete', id]), 'delete');
      t.notOk(isRunning(pid), 'init is gone');
    }
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('kill takes names in any case, with and without SIG, and numbers', async (t) => {
    for (const signal of ['TERM', 'SIGTERM', 'sigterm', '15']) {
      const args = ['sh', '-c', 'trap "exit 3" TERM; echo ready; while :; do sleep 0.01; done'];
      const { id, pid, result } = await rig.sleeper(t, { args });
      await waitFor(() => result.readOutput().includes('ready'));
      expectSuccess(t, await rig.tsrun(['kill', id, '0']), 'kill 0 only looks');
      t.ok(isRunning(pid));
      expectSuccess(t, await rig.tsrun(['kill', id, signal]), `kill ${signal}`);
      await waitForEnd(pid);
      expectSuccess(t, await rig.tsrun(['delete', id]), 'delete');
    }
    const { id } = await rig.sleeper(t);
    expectFailure(t, await rig.tsrun(['kill', id, 'NONSENSE']), { message: /unknown signal.*NONSENSE/ });
    t.equal((await rig.state(id)).status, 'running');
    t.equal((await rig.state(id)).status, 'running', 'asking changes nothing');
    await rig.delete(t, id);
  });

  await t.test('kill of a created container ends it', async (t) => {
    const { id, pid } = await rig.create(t);
    expectSuccess(t, await rig.tsrun(['kill', id, 'TERM']), 'kill');
    await waitForEnd(pid);
    expectFailure(t, await rig.tsrun(['start', id]), { message: 'cannot start a container that has stopped' });
    expectSuccess(t, await rig.tsrun(['delete', id]), 'delete');
  });

  await t.test('delete --force ends a running container, and a missing one is no error', async (t) => {
    const { id, pid } = await rig.sleeper(t);
    expectSuccess(t, await rig.tsrun(['delete', '--force', id]), 'delete --force');
    t.notOk(isRunning(pid), 'init is gone');
    t.strictSame(rig.leftovers(), []);
    expectSuccess(t, await rig.tsrun(['delete', '--force', id]), 'delete --force of what is gone');
    expectFailure(t, await rig.tsrun(['delete', id]), { message: 'does not exist' });
  });

  await t.test('list shows the containers of this root as table, ids and JSON', async (t) => {
    const missing = rig.fresh('no-such-root');
    const refused = await rig.tsrun(['--root', missing, 'list']);
    expectFailure(t, refused, { message: /no such file or directory/ });
    t.match(refused.stderr, missing);
    const empty = await rig.tsrun(['list', '--format', 'json']);
    t.equal(empty.stdout, 'null\n', 'as runc prints no containers');
    const first = await rig.create(t);
    const second = await rig.sleeper(t);
    const ids = [first.id, second.id].sort();
    t.equal((await rig.tsrun(['list', '-q'])).stdout, `${ids.join('\n')}\n`);
    const list = JSON.parse((await rig.tsrun(['list', '--format', 'json'])).stdout) as State[];
    const owner = (await run('id', ['-un', `${testUser ?? 0}`])).stdout.trim();
    t.match(
      list,
      ids.map((id) => ({ id, status: id === first.id ? 'created' : 'running', owner })),
    );
    const [header = '', ...rows] = (await rig.tsrun(['list'])).stdout.trimEnd().split('\n');
    t.strictSame(header.split(/\s+/), ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER']);
    t.strictSame(
      rows.map((row) => row.split(/\s+/)[0]),
      ids,
    );
    expectFailure(t, await rig.tsrun(['list', '--format', 'xml']), { message: 'invalid format option' });
    await rig.delete(t, ...ids);
  });

  await t.test('what the container is made from is kept: later edits of the bundle change nothing', async (t) => {
    const id = rig.id('kept');
    const bundle = rig.bundle({ args: 'echo before' });
    const created = await rig.tsrun(['create', '--bundle', bundle, id]);
    expectSuccess(t, created, 'create');
    writeFileSync(path.join(bundle, 'config.json'), '{ not json');
    expectSuccess(t, await rig.tsrun(['start', id]), 'start');
    await rig.waitForStatus(id, 'stopped');
    t.equal(created.readOutput(), 'before\n');
    expectSuccess(t, await rig.tsrun(['delete', id]), 'delete');
  });
});

live('run', async (t, rig) => {
  await t.test("the exit code is the program's, 128 + n after a signal", async (t) => {
    const ends = async (args: string, wanted: number): Promise<void> => {
      const { code, stderr } = await rig.run({ args });
      t.equal(code, wanted, `${args}: ${stderr}`);
    };
    await ends('exit 0', 0);
    await ends('exit 7', 7);
    await ends('exit 255', 255);
    // Pid 1 of a pid namespace is deaf to signals of its own, so that the process that dies is another.
    await ends('sh -c "kill -9 \\$\\$"; exit $?', 137);
    const id = rig.id('signal');
    const running = rig.startTsrun(['run', '--bundle', rig.bundle({ args: ['sleep', '1000'] }), id]);
    await waitForState(rig, id, 'running');
    expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
    t.equal((await running.done).code, 137);
    t.strictSame(rig.leftovers(), [], 'run takes everything away');
  });

  await t.test('signals for tsrun go to the program', async (t) => {
    const id = rig.id('forward');
    const args = ['sh', '-c', 'trap "exit 42" USR1; trap "exit 43" TERM; echo ready; while :; do sleep 0.01; done'];
    for (const [signal, code] of [
      ['SIGUSR1', 42],
      ['SIGTERM', 43],
    ] as const) {
      const running = rig.startTsrun(['run', '--bundle', rig.bundle({ args }), id]);
      await waitForState(rig, id, 'running');
      const log = running.output;
      await waitFor(() => log().includes('ready'));
      process.kill(running.pid, signal);
      t.equal((await running.done).code, code, signal);
    }
  });

  await t.test("standard input, output and error are the program's", async (t) => {
    const result = await rig.run({ args: 'cat; echo oops >&2' }, { stdin: 'through the pipe' });
    expectSuccess(t, { ...result, stderr: '' });
    t.equal(result.stdout, 'through the pipe');
    t.equal(result.stderr, 'oops\n');
  });

  await t.test('--detach returns while the program runs, --keep keeps the container', async (t) => {
    const id = rig.id('detached');
    const pidFile = rig.fresh('pid');
    const bundle = rig.bundle({ args: ['sleep', '1000'] });
    expectSuccess(
      t,
      await rig.tsrun(['run', '--detach', '--pid-file', pidFile, '--bundle', bundle, id]),
      'run --detach',
    );
    const state = await rig.state(id);
    t.equal(state.status, 'running');
    t.equal(String(state.pid), readFileSync(pidFile, 'utf8'));
    await rig.delete(t, id);
    const kept = rig.id('kept');
    t.equal((await rig.tsrun(['run', '--keep', '--bundle', rig.bundle({ args: 'exit 3' }), kept])).code, 3);
    t.equal((await rig.state(kept)).status, 'stopped');
    expectSuccess(t, await rig.tsrun(['delete', kept]), 'delete');
  });

  await t.test('a program that is missing fails as with runc', { skip: missingTools('runc') }, async (t) => {
    for (const args of [['no-such-program'], ['/no/such/program'], ['/etc/passwd'], ['/etc']]) {
      const bundle = rig.bundle({ args });
      const ours = await rig.tsrun(['run', '--bundle', bundle, rig.id('missing')]);
      const theirs = await rig.start([
        findTool('runc') ?? '',
        '--root',
        rig.path('runc'),
        'run',
        '--bundle',
        bundle,
        rig.id('runc'),
      ]).done;
      t.equal(ours.code, theirs.code, `${args[0] ?? ''}: the exit code of runc`);
      // A directory is refused in other words by each version of Go.
      if (args[0] === '/etc') {
        t.match(ours.stderr, /exec: \\"\/etc\\": (is a directory|permission denied)/);
        continue;
      }
      const words =
        /exec: .*$/m.exec(theirs.stderr.replaceAll('\\"', '"'))?.[0].replace(/"?$/, '') ??
        'runc said nothing of the kind';
      t.match(ours.stderr.replaceAll('\\"', '"'), words, `${args[0] ?? ''}: the words of runc`);
    }
    const { stderr } = await rig.run({ args: ['no-such-program'] });
    t.match(stderr.replaceAll('\\"', '"'), 'exec: "no-such-program": executable file not found in $PATH');
    t.strictSame(rig.leftovers(), []);
  });

  const forRoot = needsRoot('what `spec` writes is for root');
  await t.test(
    'the configs that `tsrun spec` and `runc spec` write run unchanged but for the terminal',
    { skip: missingTools('runc') || forRoot },
    async (t) => {
      for (const tool of ['tsrun', 'runc']) {
        const bundle = rig.bundle({ fill: () => undefined });
        const file = path.join(bundle, 'config.json');
        await run('rm', [file]);
        if (tool === 'runc') await run('runc', ['spec', '--bundle', bundle]);
        else expectSuccess(t, await rig.tsrun(['spec', '--bundle', bundle]), 'spec');
        t.match((await rig.tsrun(['spec', '--bundle', bundle])).stderr, 'File config.json exists. Remove it first');
        const config = JSON.parse(readFileSync(file, 'utf8')) as { process: { terminal: boolean; args: string[] } };
        t.equal(config.process.terminal, true, 'the template has a terminal');
        config.process.terminal = false;
        config.process.args = ['sh', '-c', 'echo $$; hostname; ls /proc/self/fd; mount | grep -c .; exit 9'];
        writeFileSync(file, JSON.stringify(config));
        const result = await rig.tsrun(['run', '--bundle', bundle, rig.id(tool)]);
        t.equal(result.code, 9, `${tool}: ${result.stderr}`);
        t.match(result.stdout, new RegExp(`^1\n${tool}\n`), 'pid 1 and the hostname');
      }
    },
  );

  await t.test(
    'a terminal: the program has a console of its own',
    { skip: missingTools('script') || forRoot },
    async (t) => {
      const bundle = rig.bundle({ fill: () => undefined });
      const file = path.join(bundle, 'config.json');
      await run('rm', [file]);
      expectSuccess(t, await rig.tsrun(['spec', '--bundle', bundle]), 'spec');
      const config = JSON.parse(readFileSync(file, 'utf8')) as { process: { args: string[] } };
      config.process.args = [
        'sh',
        '-c',
        'tty; test -t 0 && test -t 1 && test -t 2 && echo all-tty; stty size; ls -l /dev/console; exit 5',
      ];
      writeFileSync(file, JSON.stringify(config));
      const command = rig.tsrunArgv(['run', '--bundle', bundle, rig.id('tty')]).join(' ');
      const result = await rig.start(['script', '-qec', `stty rows 33 cols 77; ${command}`, '/dev/null']).done;
      t.equal(result.code, 5, result.stdout + result.stderr);
      t.match(result.stdout, /\/dev\/(pts\/0|console)\r*\n/, 'tty names it');
      t.match(result.stdout, /all-tty\r*\n/);
      t.notMatch(result.stdout, /\r\r/, 'lines end in one carriage return: only one of the two terminals adds it');
      t.match(result.stdout, /33 77/, 'the size of the outer terminal');
      t.match(result.stdout, /\/dev\/console/);
      const without = await rig.tsrun(['run', '--bundle', bundle, rig.id('no-tty')]);
      expectFailure(t, without, { message: /terminal/ });
      const detached = await rig.tsrun(['create', '--bundle', bundle, rig.id('no-socket')]);
      expectFailure(t, detached, {
        message: 'cannot allocate tty if tsrun will detach without setting console socket',
      });
      const socket = await rig.tsrun([
        'create',
        '--bundle',
        rig.bundle(),
        '--console-socket',
        rig.fresh('socket'),
        rig.id('no-tty'),
      ]);
      expectFailure(t, socket, { message: 'cannot use console socket if tsrun will not detach or allocate tty' });
      t.strictSame(rig.leftovers(), []);
    },
  );
});
