import type { Seccomp } from '../../src/spec/generated/config.ts';
import { expectFailure, expectSuccess, live } from './support/rig.ts';
import { answerOne, SeccompAgent } from './support/seccomp-agent.ts';
import { withFilter } from './support/seccomp-config.ts';

live('seccomp listener', async (t, rig) => {
  const listenerPath = rig.path('agent.sock');
  using agent = new SeccompAgent(listenerPath);
  const seccomp: Seccomp = {
    defaultAction: 'SCMP_ACT_ALLOW',
    listenerPath,
    listenerMetadata: 'some "text"',
    syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_NOTIFY' }],
  };

  await t.test('a startContainer hook does without the filter whose listener is for the program', async (t) => {
    const change = withFilter(seccomp, (config) => {
      config.process.noNewPrivileges = true;
      // Nobody answers for the hook.
      config.hooks = { startContainer: [{ path: '/bin/mkdir', args: ['mkdir', '/tmp/by-hook'], timeout: 10 }] };
    });
    const bundle = rig.bundle({ args: 'ls -d /tmp/by-hook; mkdir /tmp/a 2>&1', change, fill: () => undefined });
    const running = rig.startTsrun(['run', '--bundle', bundle, rig.id('notify')]);
    const { listener } = await agent.accept();
    using _listener = listener;
    await answerOne(listener, 122);
    t.match((await running.done).stdout, /^\/tmp\/by-hook\n.*quota exceeded\n$/i);
  });

  for (const noNewPrivileges of [true, false]) {
    const change = withFilter(seccomp, (config) => (config.process.noNewPrivileges = noNewPrivileges));
    const status = noNewPrivileges ? 'created' : 'creating';

    await t.test(`run, no_new_privs ${noNewPrivileges}`, async (t) => {
      const id = rig.id('notify');
      const script = 'mkdir /tmp/a 2>&1; mkdir /tmp/b-$$ && rmdir /tmp/b-$$ && echo made';
      const running = rig.startTsrun(['run', '--bundle', rig.bundle({ args: script, change }), id]);
      const { listener, state, isEnded } = await agent.accept();
      using _listener = listener;
      t.match(state, {
        fds: ['seccompFd'],
        metadata: 'some "text"',
        state: { id, status, bundle: rig.latestBundle() },
      });
      t.match(state.ociVersion, /^1\./);
      t.ok(state.pid > 0);
      t.equal(state.state.pid, state.pid);
      t.ok(isEnded);
      await answerOne(listener, 122);
      await answerOne(listener, 'continue');
      const result = await running.done;
      expectSuccess(t, result);
      t.match(result.stdout, /quota exceeded\nmade\n/i);
    });

    await t.test(`create, start and exec, no_new_privs ${noNewPrivileges}`, async (t) => {
      const id = rig.id('notify');
      const bundle = rig.bundle({ args: 'mkdir /tmp/a; sleep 1000', change });
      const creating = rig.startTsrun(['create', '--bundle', bundle, id]);
      const early = noNewPrivileges ? undefined : agent.accept();
      expectSuccess(t, await creating.done, 'create');
      const starting = rig.startTsrun(['start', id]);
      const { listener, state } = await (early ?? agent.accept());
      using _listener = listener;
      t.equal(state.state.status, status);
      t.equal(state.pid, (await rig.state(id)).pid);
      expectSuccess(t, await starting.done, 'start');
      await answerOne(listener, 122);

      const executing = rig.startTsrun(['exec', id, 'sh', '-c', 'mkdir /tmp/c 2>&1; exit 6']);
      const second = await agent.accept();
      using _second = second.listener;
      t.equal(second.state.state.status, 'running');
      t.equal(second.state.state.pid, state.pid);
      t.not(second.state.pid, state.pid, 'the process of exec');
      await answerOne(second.listener, 122);
      const result = await executing.done;
      t.equal(result.code, 6, result.stderr);
      t.match(result.stdout, /quota exceeded/i);
      await rig.delete(t, id);
    });

    await t.test(`nobody at listenerPath, no_new_privs ${noNewPrivileges}`, async (t) => {
      const lonely = { ...seccomp, listenerPath: rig.path('nobody.sock') };
      const alone = withFilter(lonely, (config) => (config.process.noNewPrivileges = noNewPrivileges));
      expectFailure(t, await rig.run({ change: alone }), { message: /nobody\.sock.*ENOENT/ });
    });
  }

  await t.test('what cannot be asked about is refused', async (t) => {
    const refuse = async (changes: Partial<Seccomp>, message: RegExp): Promise<void> => {
      expectFailure(t, await rig.run({ change: withFilter({ ...seccomp, ...changes }) }), { message });
    };
    await refuse({ defaultAction: 'SCMP_ACT_NOTIFY' }, /cannot be used as default action/);
    await refuse(
      { syscalls: [{ names: ['write'], action: 'SCMP_ACT_NOTIFY' }] },
      /cannot be used for the write syscall/,
    );
  });
});
