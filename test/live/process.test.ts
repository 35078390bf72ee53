import { chownSync, closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectFailure, expectSuccess, live, statusField, type BaseConfig } from './support/rig.ts';
import { missingTools } from './support/surroundings.ts';

type Change = (config: BaseConfig) => void;

/** Bits of a set of capabilities as /proc/PID/status shows them. */
function mask(...numbers: readonly number[]): string {
  return numbers
    .reduce((bits, number) => bits | (1n << BigInt(number)), 0n)
    .toString(16)
    .padStart(16, '0');
}

live('identity of the process', async (t, rig) => {
  await t.test('user, groups and umask', async (t) => {
    const status = await rig.output(t, {
      args: 'cat /proc/self/status; umask; touch /tmp/made; stat -c %a /tmp/made',
      change: (config) => {
        config.process.user = { uid: 1000, gid: 1001, additionalGids: [5, 77], umask: 0o027 };
        config.mounts.push({ destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['mode=1777'] });
      },
    });
    t.equal(statusField(status, 'Uid'), '1000\t1000\t1000\t1000');
    t.equal(statusField(status, 'Gid'), '1001\t1001\t1001\t1001');
    t.equal(statusField(status, 'Groups').trim(), '5 77');
    t.match(status, /\n0027\n640$/);
    const plain = await rig.output(
      t,
      { args: 'cat /proc/self/status; umask' },
      { under: ['setpriv', '--groups', '4,6', '--'] },
    );
    t.equal(statusField(plain, 'Groups').trim(), '', "the caller's groups are gone");
    t.match(plain, /\n0022$/, 'the default umask');
    const other = await rig.output(t, { args: 'umask' }, { under: ['sh', '-c', 'umask 0; exec "$@"', 'sh'] });
    t.equal(other, '0022', "the caller's umask does not leak in");
  });

  await t.test('HOME from /etc/passwd unless it is set', async (t) => {
    t.equal(await rig.output(t, { args: 'echo $HOME' }), '/root');
    t.equal(
      await rig.output(t, { args: 'echo $HOME', change: (config) => (config.process.user = { uid: 1000, gid: 1000 }) }),
      '/home/worker',
    );
    t.equal(
      await rig.output(t, { args: 'echo $HOME', change: (config) => (config.process.user = { uid: 4321, gid: 0 }) }),
      '/',
    );
    t.equal(
      await rig.output(t, { args: 'echo $HOME', change: (config) => config.process.env.push('HOME=/given') }),
      '/given',
    );
  });

  await t.test("the environment is the config's and nothing else", async (t) => {
    const change: Change = (config) =>
      (config.process.env = ['PATH=/bin', 'A=first', 'EMPTY=', 'B=with = sign', 'A=last']);
    const lines = (await rig.output(t, { args: ['env'], change }, { env: { LEAK: 'x' } })).split('\n');
    t.strictSame(lines.sort(), ['A=last', 'B=with = sign', 'EMPTY=', 'HOME=/root', 'PATH=/bin']);
  });

  await t.test('PATH: the first that can be executed', async (t) => {
    const output = await rig.output(t, {
      args: ['tool'],
      change: (config) => (config.process.env = ['PATH=/none:/first:/second:/third']),
      fill: (rootfs) => {
        for (const name of ['first', 'second', 'third']) mkdirSync(path.join(rootfs, name));
        writeFileSync(path.join(rootfs, 'first/tool'), '#!/bin/sh\necho not executable', { mode: 0o644 });
        writeFileSync(path.join(rootfs, 'second/tool'), '#!/bin/sh\necho second', { mode: 0o755 });
        writeFileSync(path.join(rootfs, 'third/tool'), '#!/bin/sh\necho third', { mode: 0o755 });
      },
    });
    t.equal(output, 'second');
  });

  await t.test('cwd is made, entered, and open to the user', async (t) => {
    t.equal(
      await rig.output(t, { args: ['pwd'], change: (config) => (config.process.cwd = '/made/by/tsrun') }),
      '/made/by/tsrun',
    );
    t.equal(
      await rig.output(t, {
        args: ['pwd'],
        change: (config) => {
          config.process.cwd = '/private';
          config.process.user = { uid: 1000, gid: 1000 };
        },
        fill: (rootfs) => {
          mkdirSync(path.join(rootfs, 'private'), { mode: 0o700 });
          chownSync(path.join(rootfs, 'private'), 1000, 1000);
        },
      }),
      '/private',
    );
  });
});

live('privileges of the process', async (t, rig) => {
  await t.test('five capability sets', async (t) => {
    const status = await rig.output(t, {
      args: ['cat', '/proc/self/status'],
      change: (config) => {
        config.process.noNewPrivileges = false;
        config.process.user = { uid: 1000, gid: 1000 };
        config.process.capabilities = {
          bounding: ['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_RAW', 'CAP_NET_BIND_SERVICE'],
          effective: ['CAP_KILL', 'CAP_NET_RAW'],
          permitted: ['CAP_KILL', 'CAP_NET_RAW', 'CAP_NET_BIND_SERVICE'],
          inheritable: ['CAP_KILL', 'CAP_NET_RAW'],
          ambient: ['CAP_NET_RAW'],
        };
      },
    });
    t.equal(statusField(status, 'CapBnd'), mask(0, 5, 10, 13));
    t.equal(statusField(status, 'CapInh'), mask(5, 13));
    t.equal(statusField(status, 'CapAmb'), mask(13));
    // execve(2) of an ordinary user leaves what is ambient; capabilities(7).
    t.equal(statusField(status, 'CapPrm'), mask(13));
    t.equal(statusField(status, 'CapEff'), mask(13));
  });

  await t.test('before the program: what init itself holds', async (t) => {
    const { id, pid } = await rig.create(t, {
      change: (config) => {
        config.process.capabilities = {
          bounding: ['CAP_CHOWN', 'CAP_KILL'],
          effective: ['CAP_CHOWN'],
          permitted: ['CAP_CHOWN', 'CAP_KILL'],
        };
      },
    });
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const sets = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => statusField(status, name));
    t.strictSame(sets, [mask(), mask(0, 5), mask(0), mask(0, 5), mask()]);
    await rig.delete(t, id);
  });

  await t.test('without sets there are none; a capability that cannot be granted is a warning', async (t) => {
    const none = await rig.output(t, {
      args: ['cat', '/proc/self/status'],
      change: (config) => (config.process.capabilities = {}),
    });
    t.equal(statusField(none, 'CapBnd'), mask());
    t.equal(statusField(none, 'CapEff'), mask());
    const names = ['CAP_KILL', 'CAP_OF_THE_FUTURE', 'CAP_SYS_RESOURCE'];
    const result = await rig.run({
      args: ['cat', '/proc/self/status'],
      change: (config) => (config.process.capabilities = { bounding: names, effective: names, permitted: names }),
    });
    t.equal(result.code, 0, result.stderr);
    t.equal(result.stderr.match(/level=warning.*CAP_OF_THE_FUTURE/g)?.length, 1, 'said once for all sets');
    const own = BigInt(`0x${statusField(readFileSync('/proc/self/status', 'utf8'), 'CapEff')}`);
    t.equal(statusField(result.stdout, 'CapEff'), (own & (1n << 24n)) === 0n ? mask(5) : mask(5, 24));
  });

  await t.test('a config without capabilities gives none, and says so once', async (t) => {
    const result = await rig.run({
      args: ['cat', '/proc/self/status'],
      change: (config) => delete config.process.capabilities,
    });
    expectSuccess(t, result);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      t.equal(statusField(result.stdout, set), mask(), set);
    t.equal(result.stderr.match(/level=warning.*\/process\/capabilities: is absent/g)?.length, 1);
  });

  await t.test('a capability that another set lacks is a warning, once', async (t) => {
    const result = await rig.run({
      args: ['cat', '/proc/self/status'],
      change: (config) =>
        (config.process.capabilities = {
          ...{ bounding: ['CAP_KILL'], permitted: ['CAP_KILL'], effective: ['CAP_KILL', 'CAP_CHOWN'] },
          ...{ inheritable: ['CAP_SETUID'], ambient: ['CAP_KILL'] },
        }),
    });
    expectSuccess(t, result);
    const sets = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((set) => statusField(result.stdout, set));
    t.strictSame(sets, [mask(), mask(5), mask(5), mask(5), mask()]);
    const warnings = result.stderr.match(/capability \\?"\w+\\?" is left out of the \w+ set/g);
    t.strictSame(
      warnings?.map((text) => text.replaceAll('\\', '')),
      [
        'capability "CAP_CHOWN" is left out of the effective set',
        'capability "CAP_SETUID" is left out of the inheritable set',
        'capability "CAP_KILL" is left out of the ambient set',
      ],
    );
  });

  await t.test('no_new_privs', async (t) => {
    for (const wanted of [true, false]) {
      const change: Change = (config) => (config.process.noNewPrivileges = wanted);
      const status = await rig.output(t, { args: ['cat', '/proc/self/status'], change });
      t.equal(statusField(status, 'NoNewPrivs'), wanted ? '1' : '0');
    }
  });

  await t.test('a session keyring of its own', { skip: missingTools('keyctl') }, async (t) => {
    const bundle = rig.bundle({ args: 'cat /proc/keys', change: (config) => (config.linux.maskedPaths = []) });
    // Only who possesses it may view it: it shows up where the session keyring was inherited, and nowhere else.
    const hide = 'keyctl setperm @s 0x3f000000 && exec "$@"';
    const under = ['keyctl', 'session', 'of-the-caller', 'sh', '-c', hide, 'sh'];
    for (const flags of [[], ['--no-new-keyring']]) {
      const { stdout, stderr, code } = await rig.tsrun(['run', ...flags, '--bundle', bundle, rig.id('keys')], {
        under,
      });
      t.equal(code, 0, stderr);
      t.equal(stdout.includes('of-the-caller'), flags.length > 0, `leaks only when asked to: ${flags.join()}`);
    }
  });

  await t.test("a session keyring with the name of the container, unless the caller's is to be kept", async (t) => {
    const bundle = rig.bundle({ args: 'cat /proc/keys', change: (config) => (config.linux.maskedPaths = []) });
    for (const flags of [[], ['--no-new-keyring']]) {
      // Keyrings of containers that are gone may still be listed: only this one's name counts.
      const id = rig.id('keyring');
      const { stdout, stderr, code } = await rig.tsrun(['run', ...flags, '--bundle', bundle, id]);
      t.equal(code, 0, stderr);
      t.match(stdout, /keyring/, 'there is something to see');
      t.equal(stdout.includes(`_ses.${id}`), flags.length === 0, flags.join());
    }
  });
});

live('limits and scheduling of the process', async (t, rig) => {
  await t.test('rlimits', async (t) => {
    const output = await rig.output(t, {
      args: 'cat /proc/self/limits',
      change: (config) => {
        config.process.rlimits = [
          { type: 'RLIMIT_NOFILE', soft: 100, hard: 200 },
          { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
          { type: 'RLIMIT_CPU', soft: 50, hard: 60 },
          { type: 'RLIMIT_STACK', soft: 1_048_576, hard: 2_097_152 },
        ];
      },
    });
    t.match(output, /Max open files +100 +200 /);
    t.match(output, /Max core file size +0 +0 /);
    t.match(output, /Max cpu time +50 +60 /);
    t.match(output, /Max stack size +1048576 +2097152 /);
    const twice = await rig.run({
      change: (config) =>
        (config.process.rlimits = [
          { type: 'RLIMIT_CPU', soft: 1, hard: 1 },
          { type: 'RLIMIT_CPU', soft: 2, hard: 2 },
        ]),
    });
    expectFailure(t, twice, { message: '/process/rlimits/1' });
  });

  await t.test('a limit that may not be raised is refused and named', async (t) => {
    const hard = Number(/Max open files +\d+ +(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
    if (
      !Number.isFinite(hard) ||
      (BigInt(`0x${statusField(readFileSync('/proc/self/status', 'utf8'), 'CapEff')}`) & (1n << 24n)) !== 0n
    ) {
      t.comment('skipped: this root may raise limits');
      return;
    }
    const result = await rig.run({
      change: (config) => (config.process.rlimits = [{ type: 'RLIMIT_NOFILE', soft: hard + 1, hard: hard + 1 }]),
    });
    expectFailure(t, result, { message: /RLIMIT_NOFILE.*EPERM.*\/process\/rlimits\/0/ });
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('oom_score_adj', async (t) => {
    const args = ['cat', '/proc/self/oom_score_adj'];
    t.equal(await rig.output(t, { args, change: (config) => (config.process.oomScoreAdj = 500) }), '500');
    t.equal(
      await rig.output(t, { args }),
      readFileSync('/proc/self/oom_score_adj', 'utf8').trim(),
      "unset, it is the caller's",
    );
  });

  await t.test('scheduler and I/O priority', async (t) => {
    const output = await rig.output(t, {
      args: 'cut -d" " -f19,41 /proc/self/stat; ionice -p $$',
      change: (config) => {
        config.process.scheduler = { policy: 'SCHED_BATCH', nice: 7 };
        config.process.ioPriority = { class: 'IOPRIO_CLASS_BE', priority: 6 };
      },
    });
    t.equal(output, '7 3\nbest-effort: prio 6');
    const idle = await rig.output(t, {
      args: 'cut -d" " -f41 /proc/self/stat; ionice -p $$',
      change: (config) => {
        config.process.scheduler = { policy: 'SCHED_IDLE' };
        config.process.ioPriority = { class: 'IOPRIO_CLASS_IDLE', priority: 0 };
      },
    });
    t.match(idle, /^5\nidle/);
  });

  await t.test('personality', { skip: process.arch === 'x64' ? false : "the names of uname are x86's" }, async (t) => {
    t.equal(
      await rig.output(t, {
        args: ['uname', '-m'],
        change: (config) => (config.linux.personality = { domain: 'LINUX32' }),
      }),
      'i686',
    );
    t.equal(
      await rig.output(t, {
        args: ['uname', '-m'],
        change: (config) => (config.linux.personality = { domain: 'LINUX' }),
      }),
      'x86_64',
    );
  });

  await t.test('sysctl', async (t) => {
    const own = readFileSync('/proc/sys/kernel/msgmax', 'utf8');
    const output = await rig.output(t, {
      args: 'cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/lo/forwarding /proc/sys/fs/mqueue/msg_max',
      change: (config) => {
        config.linux.sysctl = {
          'kernel.msgmax': '4321',
          'net.ipv4.ip_forward': '1',
          'net/ipv4/conf/lo/forwarding': '0',
          'fs.mqueue.msg_max': '7',
        };
      },
    });
    t.strictSame(output.split('\n').sort(), ['4321', '1', '0', '7'].sort());
    t.equal(readFileSync('/proc/sys/kernel/msgmax', 'utf8'), own, 'the host keeps its own');
    for (const name of ['kernel.pid_max', 'vm.swappiness', 'kernel.hostname']) {
      expectFailure(t, await rig.run({ change: (config) => (config.linux.sysctl = { [name]: '1' }) }), {
        message: name,
      });
    }
    const shared = await rig.run({
      change: (config) => {
        config.linux.namespaces = (config.linux.namespaces ?? []).filter(({ type }) => type !== 'network');
        config.linux.sysctl = { 'net.ipv4.ip_forward': '1' };
      },
    });
    expectFailure(t, shared, { message: 'net.ipv4.ip_forward' });
  });
});

live('descriptors of the process', async (t, rig) => {
  const numbersOf = (pid: string): string[] => readdirSync(`/proc/${pid}/fd`).sort();

  await t.test('only the standard ones, whatever the caller has open', async (t) => {
    const secret = openSync('/etc/shadow', 'r');
    const crowd = { under: ['sh', '-c', 'exec 7</etc/passwd 9</etc; exec "$@"', 'sh'], extraFds: [secret] };
    const [id, pidFile, execPidFile] = [rig.id('crowd'), rig.fresh('pid'), rig.fresh('pid')];
    const bundle = rig.bundle({ args: ['sleep', '1000'] });
    expectSuccess(t, await rig.tsrun(['run', '--detach', '--pid-file', pidFile, '--bundle', bundle, id], crowd), 'run');
    t.strictSame(numbersOf(readFileSync(pidFile, 'utf8')), ['0', '1', '2']);
    const exec = await rig.tsrun(['exec', '--detach', '--pid-file', execPidFile, id, 'sleep', '1000'], crowd);
    expectSuccess(t, exec, 'exec');
    t.strictSame(numbersOf(readFileSync(execPidFile, 'utf8')), ['0', '1', '2'], 'exec as well');
    await rig.delete(t, id);
    closeSync(secret);
  });

  await t.test('--preserve-fds passes more', async (t) => {
    const [file, other] = [rig.fresh('third'), rig.fresh('fourth')];
    writeFileSync(file, 'three');
    writeFileSync(other, 'four');
    const extraFds = [openSync(file, 'r'), openSync(other, 'r')];
    t.equal(
      await rig.output(
        t,
        { args: 'cat <&3; cat <&4; test -e /proc/$$/fd/5 || echo .' },
        { extraFds, flags: ['--preserve-fds', '2'] },
      ),
      'threefour.',
    );
    const { id } = await rig.sleeper(t);
    const more = [openSync(file, 'r'), openSync(other, 'r')];
    const inside = await rig.tsrun(['exec', '--preserve-fds', '2', id, 'sh', '-c', 'cat <&3; cat <&4'], {
      extraFds: more,
    });
    t.equal(inside.stdout, 'threefour', inside.stderr);
    for (const fd of [...extraFds, ...more]) closeSync(fd);
    // Node has descriptors of its own there: they are not the caller's, and none of the container's business.
    const missing = await rig.run({}, { flags: ['--preserve-fds', '9'] });
    expectFailure(t, missing, { message: 'unable to stat preserved-fd' });
    await rig.delete(t, id);
  });

  await t.test('the standard ones belong to the user where nobody waits, except /dev/null', async (t) => {
    const nullOwner = statSync('/dev/null').uid;
    const { id, result } = await rig.create(t, {
      args: 'stat -Lc %u /proc/self/fd/1; echo again >>/dev/stdout; echo oops >>/dev/stderr',
      change: (config) => (config.process.user = { uid: 1000, gid: 1000 }),
    });
    expectSuccess(t, await rig.tsrun(['start', id]), 'start');
    await rig.waitForStatus(id, 'stopped');
    t.equal(result.readOutput(), '1000\nagain\n');
    t.equal(result.readErrors(), 'oops\n');
    t.equal(statSync('/dev/null').uid, nullOwner);
  });
});
