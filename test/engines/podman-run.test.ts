import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expectSuccess, statusField } from '../live/support/rig.ts';
import { findTool } from '../live/support/surroundings.ts';
import { waitFor } from '../live/support/wait.ts';
import { isVersion2 } from './support/cgroup-view.ts';
import { IMAGE } from './support/image.ts';
import { podmanTests } from './support/podman.ts';

podmanTests('podman runs containers', { tools: ['script'] }, async (declare, _t, inside) => {
  await declare(
    'run: exit code, both outputs, input, environment, and the default seccomp profile',
    async (t, podman) => {
      const result = await podman.run(['--env', 'GIVEN=a b'], 'echo "$FROM_IMAGE $GIVEN"; echo wrong >&2; exit 7');
      t.equal(result.code, 7);
      t.equal(result.stdout, 'yes a b\n');
      t.equal(result.stderr, 'wrong\n');
      const echoed = await podman.podman(['run', '--rm', '-i', '--network', 'none', IMAGE, 'cat'], {
        stdin: 'from outside',
      });
      t.equal(echoed.stdout, 'from outside');
      t.equal(statusField(await podman.output(t, [], ['cat', '/proc/self/status']), 'Seccomp'), '2', 'a filter');
      const call = async (...options: string[]) =>
        (await podman.run(['--cap-add', 'sys_admin', ...options], ['swapoff', '/etc/passwd'])).stderr;
      t.match(await call(), 'Operation not permitted', 'which refuses a call whatever the capabilities');
      t.match(await call('--security-opt', 'seccomp=unconfined'), 'Invalid argument', 'which the kernel would take');
      t.ok(podman.calls().includes('create'), 'the runtime under test did it');
    },
  );

  await declare('run: codes 125, 126 and 127', async (t, podman) => {
    t.equal((await podman.run(['--no-such-option'], [])).code, 125);
    const notExecutable = await podman.run([], ['/etc/not-executable']);
    t.equal(notExecutable.code, 126);
    t.match(notExecutable.stderr, /permission denied/);
    const directory = await podman.run([], ['/etc']);
    t.equal(directory.code, 126);
    const missing = await podman.run([], ['no-such-program']);
    t.equal(missing.code, 127);
    t.match(missing.stderr, /executable file not found in \$PATH/);
    t.equal((await podman.run([], ['/no/such/program'])).code, 127);
    t.equal((await podman.run(['--workdir', '/etc/passwd'], ['true'])).code, 126);
    t.equal((await podman.podman(['ps', '--all', '--quiet'])).stdout, '', 'no container is left of them');
  });

  await declare('run by the path of the runtime', async (t, podman) => {
    const args = ['--runtime', podman.runtime.path, 'run', '--name', podman.name('path'), '--network', 'none', IMAGE];
    expectSuccess(t, await podman.podman([...args, 'true']));
    t.equal(await podman.inspect(podman.name('path'), '{{.OCIRuntime}}'), podman.runtime.path);
    expectSuccess(t, await podman.podman(['rm', podman.name('path')]));
  });

  await declare('run --detach, logs, inspect, ps, stop, wait, start again, kill, rm', async (t, podman) => {
    const script = 'trap "echo stopping; exit 5" TERM; echo started; while :; do sleep 0.1; done';
    const name = await podman.start(t, 'detached', [], ['sh', '-c', script]);
    await waitFor(async () => (await podman.podman(['logs', name])).stdout === 'started\n');
    t.equal(await podman.inspect(name, '{{.State.Status}} {{.OCIRuntime}}'), `running ${podman.runtime.name}`);
    const pid = await podman.inspect(name, '{{.State.Pid}}');
    t.equal((await inside.run(['cat', `/proc/${pid}/comm`])).stdout, 'sh\n');
    t.match((await podman.podman(['ps', '--format', '{{.Names}} {{.Status}}'])).stdout, new RegExp(`^${name} Up`, 'm'));
    const waiting = podman.podman(['wait', name]);
    expectSuccess(t, await podman.podman(['stop', '--time', '20', name]));
    t.equal((await waiting).stdout, '5\n');
    t.equal((await podman.podman(['logs', name])).stdout, 'started\nstopping\n');
    t.equal(await podman.inspect(name, '{{.State.Status}} {{.State.ExitCode}}'), 'exited 5');
    expectSuccess(t, await podman.podman(['start', name]));
    const again = podman.podman(['wait', name]);
    expectSuccess(t, await podman.podman(['kill', '--signal', 'KILL', name]));
    t.equal((await again).stdout, '137\n');
    t.not((await podman.podman(['kill', name])).code, 0, 'what has ended cannot be killed');
    expectSuccess(t, await podman.podman(['rm', name]));
    t.equal((await podman.podman(['container', 'exists', name])).code, 1);
  });

  await declare('stop kills what does not listen, rm --force what runs', async (t, podman) => {
    const name = await podman.start(t, 'deaf', [], ['sleep', '1000']);
    expectSuccess(t, await podman.podman(['stop', '--time', '0', name]));
    t.equal(await podman.inspect(name, '{{.State.ExitCode}}'), '137');
    const other = await podman.start(t, 'removed', [], ['sleep', '1000']);
    t.not((await podman.podman(['rm', other])).code, 0);
    expectSuccess(t, await podman.podman(['rm', '--force', '--time', '0', other]));
  });

  await declare(
    'exec: code, output, environment, user, directory, input, missing programs, --detach',
    async (t, podman) => {
      const name = await podman.start(t, 'exec', [], ['sleep', '1000']);
      const exec = async (...args: string[]) => podman.podman(['exec', ...args]);
      const full = ['--env', 'GIVEN=1', '--user', 'worker', '--workdir', '/tmp', name];
      const result = await exec(...full, 'sh', '-c', 'echo "$GIVEN $(id -un) $(pwd)"; echo wrong >&2; exit 3');
      t.strictSame([result.code, result.stdout, result.stderr.split('\n')[0]], [3, '1 worker /tmp\n', 'wrong']);
      t.equal((await podman.podman(['exec', '-i', name, 'cat'], { stdin: 'text' })).stdout, 'text');
      t.equal((await exec(name, '/etc/not-executable')).code, 126);
      t.equal((await exec(name, 'no-such-program')).code, 127);
      t.equal(statusField((await exec(name, 'cat', '/proc/self/status')).stdout, 'Seccomp'), '2');
      t.equal(
        (await exec(name, 'readlink', '/proc/self/ns/pid')).stdout,
        (await exec(name, 'readlink', '/proc/1/ns/pid')).stdout,
      );
      expectSuccess(t, await exec('--detach', name, 'sh', '-c', 'echo made >/tmp/made'));
      await waitFor(async () => (await exec(name, 'cat', '/tmp/made')).stdout === 'made\n');
    },
  );

  await declare('run -it and exec -it: a terminal of the size outside, which changes with it', async (t, podman) => {
    const show = "sh -c 'tty; test -t 0 && test -t 1 && test -t 2 && echo all-tty; stty size; exit 6'";
    const name = await podman.start(t, 'terminal', [], ['sleep', '1000']);
    for (const command of [`run --rm -it --network none ${IMAGE}`, `exec -it ${name}`]) {
      // Its size is set by a signal just after it has started.
      const result = await podman.onTerminal(
        `podman ${command} sh -c 'until [ "$(stty size)" = "33 77" ]; do sleep 0.1; done' && podman ${command} ${show}`,
      );
      t.equal(result.code, 6, result.stdout + result.stderr);
      t.match(result.stdout, /\/dev\/(pts\/0|console)\r*\n/);
      t.match(result.stdout, /all-tty\r*\n/);
    }
    const file = inside.fresh('terminal');
    const until = `until [ "$(stty size)" = "40 99" ]; do sleep 0.1; done; echo resized`;
    const running = podman.onTerminal(`tty >${file}; podman exec -it ${name} sh -c 'echo ready; ${until}'`);
    await waitFor(async () => (await podman.podman(['top', name, 'args'])).stdout.includes('40 99'), 30_000);
    const outside = readFileSync(file, 'utf8').trim();
    const resize = (rows: string) => podman.command(['stty', '-F', outside, 'rows', rows, 'cols', '99']);
    expectSuccess(t, await resize('40'));
    // podman loses a change that comes before it listens for the signal and behind its first look: a further one tells it.
    const isOver = running.then(() => true);
    while (!(await Promise.race([isOver, sleep(1000, false)]))) {
      await resize('41');
      await resize('40');
    }
    // script(1) passes the end of its own input on as a character, which the container's terminal may echo between the two.
    t.match((await running).stdout, /ready\r*\n(\^.)?resized/);
  });

  await declare('pause, unpause, and what they refuse', async (t, podman) => {
    const name = await podman.start(t, 'paused', [], ['sleep', '1000']);
    expectSuccess(t, await podman.podman(['pause', name]));
    t.equal(await podman.inspect(name, '{{.State.Status}}'), 'paused');
    const pid = await podman.inspect(name, '{{.State.Pid}}');
    const states = [
      `/sys/fs/cgroup/freezer$(sed -n 's/^[0-9]*:freezer://p' /proc/${pid}/cgroup)/freezer.state`,
      `/sys/fs/cgroup/${isVersion2 ? '' : 'unified'}$(sed -n 's/^0:://p' /proc/${pid}/cgroup)/cgroup.events`,
    ];
    t.match((await inside.run(['sh', '-c', `cat ${states.join(' ')}`])).stdout, /FROZEN|frozen 1/, 'by either version');
    t.not((await podman.podman(['exec', name, 'true'])).code, 0);
    expectSuccess(t, await podman.podman(['unpause', name]));
    t.equal(await podman.inspect(name, '{{.State.Status}}'), 'running');
    expectSuccess(t, await podman.podman(['exec', name, 'true']));
    t.not((await podman.podman(['unpause', name])).code, 0);
    expectSuccess(t, await podman.podman(['pause', name]));
    expectSuccess(t, await podman.podman(['rm', '--force', '--time', '0', name]), 'rm --force of a paused container');
  });

  await declare('top, stats', async (t, podman) => {
    const name = await podman.start(t, 'watched', ['--memory', '64m'], ['sleep', '1000']);
    t.match((await podman.podman(['top', name, 'pid', 'args'])).stdout, /^1 +sleep 1000 *$/m);
    const { stdout } = await podman.podman([
      'stats',
      '--no-stream',
      '--format',
      '{{.Name}} {{.PIDS}} {{.MemUsage}}',
      name,
    ]);
    t.match(stdout, new RegExp(`^${name} 1 [1-9].*/ 67\\.11MB`));
  });

  await declare('--preserve-fds', async (t, podman) => {
    const file = inside.fresh('preserved');
    writeFileSync(file, 'text behind descriptor 3');
    const fd = openSync(file, 'r');
    const args = (count: string, command: string) => [
      'run',
      '--rm',
      '--network',
      'none',
      '--preserve-fds',
      count,
      IMAGE,
      'sh',
      '-c',
      command,
    ];
    const given = await podman.podman(args('1', 'cat <&3; ls /proc/self/fd/4'), { extraFds: [fd] });
    t.equal(given.stdout, 'text behind descriptor 3');
    t.match(given.stderr, /No such file/, 'and no further one');
    const name = await podman.start(t, 'preserve', [], ['sleep', '1000']);
    const again = openSync(file, 'r');
    const exec = await podman.podman(['exec', '--preserve-fds', '1', name, 'sh', '-c', 'cat <&3'], {
      extraFds: [again],
    });
    t.equal(exec.stdout, 'text behind descriptor 3');
    for (const opened of [fd, again]) closeSync(opened);
  });

  const tini = findTool('tini-static') ?? '';
  await declare(
    '--init: the program is the child of an init, which reaps',
    async (t, podman) => {
      const orphan = '(sleep 0.1 & ); sleep 0.3; cat /proc/1/comm; ps -o stat | grep -c Z';
      const result = await podman.run(['--init', '--init-path', tini], orphan);
      t.equal(result.stdout, 'podman-init\n0\n');
    },
    { skip: tini === '' && 'needs tini-static on the host' },
  );

  await declare('healthcheck run', async (t, podman) => {
    const name = await podman.start(t, 'health', ['--health-cmd', 'test -e /healthy'], ['sleep', '1000']);
    t.match(await podman.podman(['healthcheck', 'run', name]), { code: 1, stdout: 'unhealthy\n' });
    expectSuccess(t, await podman.podman(['exec', name, 'touch', '/healthy']));
    expectSuccess(t, await podman.podman(['healthcheck', 'run', name]));
    t.equal(await podman.inspect(name, '{{.State.Health.Status}}'), 'healthy');
  });

  await declare('hooks of --hooks-dir run at their stages, with the state of the container', async (t, podman) => {
    const directory = inside.fresh('hooks');
    mkdirSync(directory);
    const hook = (stage: string): void => {
      const args = ['sh', '-c', `cat >${directory}/${stage}.state; echo $HOOKED >>${directory}/order`];
      const text = { path: '/bin/sh', args, env: [`HOOKED=${stage}`] };
      const when = { annotations: { '^hooked$': '^yes$' } };
      writeFileSync(
        path.join(directory, `${stage}.json`),
        JSON.stringify({ version: '1.0.0', hook: text, when, stages: [stage] }),
      );
    };
    const stages = ['prestart', 'createRuntime', 'poststart', 'poststop'];
    stages.forEach(hook);
    const args = ['--hooks-dir', directory, 'run', '--rm', '--network', 'none', '--annotation', 'hooked=yes', IMAGE];
    expectSuccess(t, await podman.podman([...args, 'true']));
    t.strictSame(readFileSync(path.join(directory, 'order'), 'utf8').trim().split('\n'), stages);
    const states = stages.map(
      (stage) => JSON.parse(readFileSync(path.join(directory, `${stage}.state`), 'utf8')) as Record<string, unknown>,
    );
    const statuses = states.map(({ status }) => status);
    // The environment is there when these hooks run (runtime.md, Lifecycle, step 2 is over); runc says creating all the same.
    const early = podman.runtime.name === 'runc' ? 'creating' : 'created';
    t.strictSame([statuses[0], statuses[3]], [early, 'stopped']);
    t.match(states[0], { annotations: { hooked: 'yes' }, id: /^[0-9a-f]{64}$/, bundle: /userdata$/ });
    expectSuccess(
      t,
      await podman.podman(['--hooks-dir', directory, 'run', '--rm', '--network', 'none', IMAGE, 'true']),
    );
    t.equal(
      readFileSync(path.join(directory, 'order'), 'utf8').trim().split('\n').length,
      stages.length,
      'not without the annotation',
    );
    writeFileSync(
      path.join(directory, 'prestart.json'),
      JSON.stringify({ version: '1.0.0', hook: { path: '/bin/false' }, when: { always: true }, stages: ['prestart'] }),
    );
    const failed = await podman.podman([...args, 'true']);
    t.equal(failed.code, 126);
    t.match(failed.stderr, /hook/, 'a hook that fails, fails the container');
  });
});
