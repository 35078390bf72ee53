import { chownSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import { specTemplate } from '../../src/spec/template.ts';
import type { CommandResult } from '../live/support/command.ts';
import { findCgroups } from '../live/support/leftovers.ts';
import { removeNamespace } from '../live/support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BaseConfig } from '../live/support/rig.ts';
import { findTool } from '../live/support/surroundings.ts';
import { attack } from './compare.ts';
import { count, record } from './count.mjs';

const NOBODY = 65534;
const refusal = ({ code }: CommandResult): string => (code === 0 ? 'runs inside' : 'refused');

live('further attacks, beside runc', async (t, rig) => {
  const victim = rig.fresh('victim');
  mkdirSync(victim);
  writeFileSync(path.join(victim, 'file'), 'untouched');
  const judgeVictim = (result: CommandResult): string =>
    readdirSync(victim).join() === 'file' ? refusal(result) : 'succeeds: the host has changed';

  await t.test('lengths that overflow a 16-bit field (CVE-2021-43784)', async (t) => {
    const MESSAGE_BYTES = 65_536;
    await attack(t, rig, {
      name: 'the path of a namespace is longer than a netlink attribute (CVE-2021-43784)',
      bundle: () => ({
        args: 'readlink /proc/self/ns/user',
        change: (config) => {
          const injected = `/proc/1/ns/user${'\u0001'.repeat(MESSAGE_BYTES)}`;
          config.linux.namespaces = [...(config.linux.namespaces ?? []), { type: 'user', path: injected }];
        },
      }),
      judge: (result) => (result.code === 0 ? 'succeeds: it is cut off' : 'refused'),
    });
  });

  await t.test('files that other runtimes look for in a rootfs (CVE-2025-24965)', async (t) => {
    await attack(t, rig, {
      name: 'an annotation asks for a handler that writes through a symlink of the image (CVE-2025-24965)',
      bundle: () => ({
        fill: (rootfs) => {
          symlinkSync(path.join(victim, 'made'), path.join(rootfs, '.krun_config.json'));
        },
        change: (config) => (config.annotations = { 'run.oci.handler': 'krun', 'krun.memory': '1' }),
      }),
      judge: judgeVictim,
    });
  });

  await t.test('a path of the cgroup, or an annotation, leads up', async (t) => {
    const name = `${rig.prefix}-up`;
    await attack(t, rig, {
      name: 'cgroupsPath and `run.oci.delegate-cgroup` have `..` in them',
      bundle: () => ({
        change: (config) => {
          config.linux.cgroupsPath = `/../../../../${name}`;
          config.annotations = { 'run.oci.delegate-cgroup': '../../x' };
        },
      }),
      judge: (result) =>
        existsSync(`/sys/fs/cgroup/${name}`) || existsSync(`/sys/fs/${name}`)
          ? 'succeeds: a directory outside of the hierarchies'
          : refusal(result),
    });
    t.strictSame(findCgroups({ prefix: name }), []);
  });

  await t.test('the environment of the caller does not reach the program', async (t) => {
    const result = await rig.run(
      { args: ['env'], change: (config) => (config.process.env = ['PATH=/bin', 'HOME=/', 'LD_PRELOAD=/none', 'A=b']) },
      {
        env: {
          SECRET: 'secret',
          LD_LIBRARY_PATH: '/none',
          NOTIFY_SOCKET: '',
          LISTEN_FDS: '',
          _LIBCONTAINER_INITPIPE: '3',
        },
      },
    );
    count('attacks tried');
    t.strictSame(
      result.stdout
        .trim()
        .split('\n')
        .filter((line) => !/^(SHLVL|PWD|_)=/.test(line))
        .sort(),
      ['A=b', 'HOME=/', 'LD_PRELOAD=/none', 'PATH=/bin'],
      result.stderr,
    );
    for (const env of [['=x'], ['A'], ['A=b\0C=d'], ['A\0=b']]) {
      const odd = await rig.run({ args: ['env'], change: (config) => (config.process.env = ['PATH=/bin', ...env]) });
      count('attacks tried');
      t.notMatch(odd.stdout, /^C=d/m);
      t.notMatch(odd.stderr, /\n\s+at |bug/);
    }
  });

  await t.test('what belongs to a terminal is something else (CVE-2025-52565)', async (t) => {
    const arrangements: Readonly<Record<string, (rootfs: string) => void>> = {
      'ptmx leads to the host': (rootfs) => {
        symlinkSync(path.join(victim, 'ptmx'), path.join(rootfs, 'dev/ptmx'));
      },
      'pts is a directory of links to the host': (rootfs) => {
        mkdirSync(path.join(rootfs, 'dev/pts'));
        for (const name of ['0', 'ptmx']) symlinkSync(path.join(victim, name), path.join(rootfs, 'dev/pts', name));
      },
      'console leads to the host': (rootfs) => {
        symlinkSync(path.join(victim, 'console'), path.join(rootfs, 'dev/console'));
      },
      'console leads into proc': (rootfs) => {
        symlinkSync('/proc/sys/kernel/core_pattern', path.join(rootfs, 'dev/console'));
      },
    };
    const socket = rig.path('console.sock');
    const server = createServer((connection) => connection.destroy()).listen(socket);
    await once(server, 'listening');
    const runc = findTool('runc');
    const runtimes = [rig.tsrunArgv([]), ...(runc === undefined ? [] : [[runc, '--root', rig.path('runc')]])];
    for (const [what, fill] of Object.entries(arrangements)) {
      const outcomes: string[] = [];
      for (const argv of runtimes) {
        const bundle = rig.bundle({
          fill,
          args: ['sleep', '1000'],
          change: (config) => {
            config.process.terminal = true;
            // All of /dev is the image's: nothing is mounted over what it has put there.
            const own = what.startsWith('pts') ? ['/dev', '/dev/pts'] : ['/dev'];
            config.mounts = config.mounts.filter(({ destination }) => !own.includes(destination));
          },
        });
        const id = rig.id('console');
        const result = await rig.start([...argv, 'create', '--console-socket', socket, '--bundle', bundle, id]).done;
        outcomes.push(judgeVictim(result));
        await rig.start([...argv, 'delete', '--force', id]).done;
        if (argv === runtimes[0]) {
          count('attacks tried');
          t.notMatch(result.stderr, /\n\s+at |bug/, what);
          t.match(outcomes[0], /^(refused|runs inside)$/, what);
          t.comment(`${what}: ${outcomes[0] ?? ''} ${result.stderr.slice(-200)}`);
        }
        rmSync(victim, { recursive: true });
        mkdirSync(victim);
        writeFileSync(path.join(victim, 'file'), 'untouched');
      }
      const [tsrun = '', theirs = 'not installed'] = outcomes;
      record({ attack: `a terminal is made: ${what} (CVE-2025-52565)`, tsrun, runc: theirs });
    }
    server.close();
  });

  await t.test('a script looked up by name is found in the container', async (t) => {
    const host = rig.fresh('path');
    mkdirSync(host);
    writeFileSync(path.join(host, 'tool'), '#!/bin/sh\necho HOST\n', { mode: 0o755 });
    const result = await rig.run({
      args: ['tool'],
      change: (config) => (config.process.env = [`PATH=${host}:/bin`]),
    });
    count('attacks tried');
    expectFailure(t, result, { message: /executable file not found/ });
  });

  await t.test('the state directory keeps others out', async (t) => {
    const { id } = await rig.create(t);
    for (const directory of [rig.root, path.join(rig.root, id)]) {
      t.equal(statSync(directory).mode & 0o077 & ~0o011, 0, directory);
    }
    t.equal(statSync(rig.root).mode & 0o777, 0o700);
    const under = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', 'env', '-u', 'NODE_OPTIONS'];
    for (const command of [
      ['state', id],
      ['kill', id, 'KILL'],
      ['delete', '--force', id],
      ['exec', id, 'true'],
    ]) {
      const result = await rig.tsrun(command, { under });
      count('attacks tried');
      t.not(result.code, 0, command.join(' '));
      t.notMatch(result.stderr, /\n\s+at |bug/);
    }
    t.equal((await rig.state(id)).status, 'created');
    await rig.delete(t, id);
  });
});

live('an ordinary user', async (t, rig) => {
  mkdirSync(rig.root, { recursive: true });
  chownSync(rig.root, NOBODY, NOBODY);
  const under = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', 'env', '-u', 'NODE_OPTIONS'];
  const rootless = (args: string, change: (config: BaseConfig) => void) =>
    rig.bundle({
      change: (config) => {
        const template = specTemplate({ rootless: true, uid: NOBODY, gid: NOBODY }) as BaseConfig;
        Object.assign(config, template, { root: config.root });
        config.process = { ...template.process, terminal: false, args: ['/bin/sh', '-c', args] };
        change(config);
      },
    });

  await t.test(
    'has no writable cgroup hierarchy of the host, without a cgroup namespace (CVE-2023-25809)',
    async (t) => {
      const probe = [
        'for d in $(find /sys/fs/cgroup -type d 2>/dev/null | head -200); do',
        'mkdir $d/escape 2>/dev/null && { rmdir $d/escape; grep -q "$d cgroup" /proc/self/mounts && echo WRITABLE $d; };',
        'done;',
        'for f in $(find /sys/fs/cgroup -name cgroup.procs 2>/dev/null | head -200); do',
        '(echo $$ >$f) 2>/dev/null && echo MOVED $f; done; echo end',
      ].join(' ');
      for (const type of ['cgroup', 'sysfs'] as const) {
        const bundle = rootless(probe, (config) => {
          removeNamespace(config, 'cgroup');
          if (type === 'sysfs') return;
          config.mounts.push({ destination: '/sys/fs/cgroup', type, source: 'cgroup', options: ['rw'] });
        });
        const result = await rig.tsrun(['run', '--bundle', bundle, rig.id('rootless')], { under, timeoutMs: 60_000 });
        count('attacks tried');
        t.comment(`${type}: code ${result.code ?? 'none'} ${result.stderr.slice(-200)}`);
        t.notMatch(result.stdout, /WRITABLE|MOVED/);
        t.notMatch(result.stderr, /\n\s+at |bug/);
        t.ok(result.code !== 0 || result.stdout.endsWith('end\n'), 'it has looked at everything');
      }
    },
  );

  await t.test('is told when its profile keeps init from sending the seccomp listener', async (t) => {
    const bundle = rootless('true', (config) => {
      config.process.noNewPrivileges = true;
      config.linux.seccomp = {
        defaultAction: 'SCMP_ACT_ALLOW',
        listenerPath: rig.path('agent.sock'),
        syscalls: [
          { names: ['mkdir'], action: 'SCMP_ACT_NOTIFY' },
          { names: ['sendmsg'], action: 'SCMP_ACT_ERRNO' },
        ],
      };
    });
    const result = await rig.tsrun(['run', '--bundle', bundle, rig.id('listener')], { under });
    count('attacks tried');
    expectFailure(t, result, { message: /send the seccomp listener: operation not permitted: EPERM/ });
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('cannot set groups in a namespace that it maps itself (CVE-2014-8989)', async (t) => {
    const bundle = rootless('cat /proc/self/setgroups', () => undefined);
    const result = await rig.tsrun(['run', '--bundle', bundle, rig.id('groups')], { under });
    count('attacks tried');
    expectSuccess(t, result);
    t.equal(result.stdout.trim(), 'deny');
  });
});
