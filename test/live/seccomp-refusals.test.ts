import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Seccomp, SeccompAction } from '../../src/spec/generated/config.ts';
import { setUserNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BaseConfig, type Rig } from './support/rig.ts';

type Change = (config: BaseConfig) => unknown;

/** The filter is loaded before init gives up its rights. */
const privileged: Change = (config) => (config.process.noNewPrivileges = false);
/** It is loaded right in front of execve(2). */
const restricted: Change = (config) => (config.process.noNewPrivileges = true);

const VARIANTS: Readonly<Record<string, Change>> = {
  'without no_new_privs': privileged,
  no_new_privs: restricted,
  'without no_new_privs, a user': (config) => {
    privileged(config);
    config.process.user = { uid: 1000, gid: 1000 };
  },
  'without no_new_privs, a user namespace': (config) => {
    privileged(config);
    setUserNamespace(config);
  },
};

function withFilter(seccomp: Seccomp, ...changes: readonly Change[]): (config: BaseConfig) => void {
  return (config) => {
    config.linux.seccomp = seccomp;
    for (const change of changes) change(config);
  };
}

live('seccomp profiles that refuse what a start needs', async (t, rig) => {
  const deny = (action: SeccompAction, ...names: string[]): Seccomp =>
    names.length === 0
      ? { defaultAction: action, syscalls: [] }
      : { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names, action }] };
  const ACTIONS = ['SCMP_ACT_ERRNO', 'SCMP_ACT_KILL', 'SCMP_ACT_KILL_PROCESS', 'SCMP_ACT_TRAP'] as const;

  for (const action of ACTIONS) {
    await t.test(`${action} for everything, exit_group included`, async (t) => {
      const late = withFilter(deny(action), restricted);
      const early = withFilter(deny(action), privileged);
      const message = /true.*: init has ended: the seccomp profile \(default \w+\) refuses execve/;
      expectFailure(t, await rig.run({ change: late }), { message });
      expectFailure(t, await rig.run({ change: early }), {
        message: /seccomp filter: it refuses capset, writev, read/,
      });
      expectFailure(t, await rig.run({ change: early }, { flags: ['--detach'] }), { message: /it refuses capset/ });
      expectFailure(t, await rig.run({ change: late }, { flags: ['--detach'] }), { message });
      expectFailure(t, await rig.tsrun(['create', '--bundle', rig.bundle({ change: early }), rig.id()]), {
        message: /it refuses capset, writev, read, accept4, dup3/,
      });
      const { id } = await rig.create(t, { change: late });
      expectFailure(t, await rig.tsrun(['start', id]), { message });
      await rig.waitForStatus(id, 'stopped');
      await rig.delete(t, id);
      const sleeper = await rig.sleeper(t, { change: withFilter(deny(action, 'sync'), restricted) });
      replaceSeccomp(rig, sleeper.id, deny(action));
      expectFailure(t, await rig.tsrun(['exec', sleeper.id, 'true']), { code: 255, message });
      expectFailure(t, await rig.tsrun(['exec', '--detach', sleeper.id, 'true']), { code: 255, message });
      await rig.delete(t, sleeper.id);
    });
  }

  await t.test('read, write or sendmsg alone', async (t) => {
    for (const action of ACTIONS) {
      for (const call of ['read', 'write', 'sendmsg']) {
        const what = `${action} for ${call}`;
        const late = withFilter(deny(action, call), restricted);
        expectSuccess(t, await rig.run({ change: late }), `${what}, loaded late`);
        const early = await rig.run({ change: withFilter(deny(action, call), privileged) });
        if (call === 'read') expectFailure(t, early, { message: /it refuses read: / });
        else expectSuccess(t, early, `${what}, loaded early`);
      }
    }
    const change = withFilter(deny('SCMP_ACT_ERRNO', 'accept4'), privileged);
    expectSuccess(t, await rig.run({ change }), 'nobody waits in run');
    const bundle = rig.bundle({ change });
    expectFailure(t, await rig.tsrun(['create', '--bundle', bundle, rig.id()]), { message: /it refuses accept4: / });
  });

  await t.test('execve alone', async (t) => {
    for (const change of [privileged, restricted]) {
      const refusing = withFilter(deny('SCMP_ACT_ERRNO', 'execve'), change);
      expectFailure(t, await rig.run({ change: refusing }), { message: /exec: \\?"true\\?": operation not permitted/ });
      const killing = withFilter(deny('SCMP_ACT_KILL', 'execve'), change);
      expectFailure(t, await rig.run({ change: killing }), { message: /refuses execve/ });
    }
  });

  await t.test('a program that cannot be executed, and nothing may be said of it', async (t) => {
    const fill = (rootfs: string): void => {
      writeFileSync(path.join(rootfs, 'broken'), 'no program', { mode: 0o755 });
    };
    for (const change of [privileged, restricted]) {
      const bundle = { args: ['/broken'], fill, change: withFilter(deny('SCMP_ACT_ERRNO', 'write'), change) };
      const message = /broken.*: exec format error: ENOEXEC; it is a program for another architecture/;
      expectFailure(t, await rig.run(bundle), { message });
      const { id } = await rig.create(t, bundle);
      t.not((await rig.tsrun(['start', id])).timedOut, true, 'start ends');
      await rig.waitForStatus(id, 'stopped');
      await rig.delete(t, id);
    }
  });

  await t.test('a profile of 2017, older than statx, faccessat2, close_range, openat2 and clone3', async (t) => {
    const names = ['statx', 'faccessat2', 'close_range', 'openat2', 'clone3'];
    for (const number of [38, 1]) {
      const old = {
        defaultAction: 'SCMP_ACT_ALLOW' as const,
        syscalls: [{ names, action: 'SCMP_ACT_ERRNO' as const, errnoRet: number }],
      };
      for (const [name, change] of Object.entries(VARIANTS)) {
        for (const args of [['true'], ['/bin/true']])
          expectSuccess(t, await rig.run({ args, change: withFilter(old, change) }), `${args.join(' ')}, ${name}`);
      }
      const missing = await rig.run({ args: ['nothing'], change: withFilter(old, privileged) });
      t.match(missing.stderr, /executable file not found in \$PATH/);
      const { id } = await rig.create(t, {
        args: ['sleep', '1000'],
        change: withFilter(old, privileged, (config) => {
          config.hooks = { startContainer: [{ path: '/bin/sh', args: ['sh', '-c', 'cat > /tmp/state'] }] };
        }),
      });
      expectSuccess(t, await rig.tsrun(['start', id]), 'start');
      expectSuccess(t, await rig.tsrun(['exec', id, 'test', '-s', '/tmp/state']), 'the startContainer hook ran');
      await rig.delete(t, id);
    }
  });
});

/** The container's own program would not have started with it. */
function replaceSeccomp(rig: Rig, id: string, seccomp: Seccomp): void {
  const file = path.join(rig.root, id, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as BaseConfig;
  config.linux.seccomp = seccomp;
  writeFileSync(file, JSON.stringify(config));
}
