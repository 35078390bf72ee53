import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectFailure, expectSuccess, live, statusField } from './support/rig.ts';
import { testUser } from './support/surroundings.ts';

/** Bits of a set of capabilities as /proc/PID/status shows them. */
function mask(...numbers: readonly number[]): string {
  return numbers
    .reduce((bits, number) => bits | (1n << BigInt(number)), 0n)
    .toString(16)
    .padStart(16, '0');
}

/** Not the one of the config, but for an ordinary user, who maps one id. */
const other = testUser === undefined ? { uid: 1000, gid: 77, home: '/home/worker' } : { uid: 0, gid: 0, home: '/root' };

live('exec', async (t, rig) => {
  const { id, pid } = await rig.sleeper(t, {
    change: (config) => {
      config.process.env.push('FROM=config');
      if (testUser === undefined) config.process.user = { uid: 0, gid: 0, additionalGids: [55] };
    },
    fill: (rootfs) => {
      symlinkSync('/etc', path.join(rootfs, 'link'));
    },
  });

  await t.test('exit codes', async (t) => {
    t.equal((await rig.tsrun(['exec', id, 'true'])).code, 0);
    t.equal((await rig.tsrun(['exec', id, 'sh', '-c', 'exit 7'])).code, 7);
    t.equal((await rig.tsrun(['exec', id, 'sh', '-c', 'kill -9 $$'])).code, 137);
    t.equal((await rig.tsrun(['exec', id, 'sh', '-c', 'kill -15 $$'])).code, 143);
    expectFailure(t, await rig.tsrun(['exec', id, 'no-such-program']), {
      code: 255,
      message: /exec failed: .*executable file not found in \$PATH/,
    });
    expectFailure(t, await rig.tsrun(['exec', id, '/etc/passwd']), { code: 255, message: /permission denied/ });
    expectFailure(t, await rig.tsrun(['exec', '--cwd', '/etc/passwd', id, 'true']), {
      code: 255,
      message: /cwd|passwd/,
    });
  });

  await t.test('in the namespaces of the container, below its cgroup, with its saved environment', async (t) => {
    const script =
      'for n in mnt pid net uts ipc; do readlink /proc/self/ns/$n; done; echo $FROM; cat /proc/self/cgroup; id -G; ps -o args | grep -c "[s]leep"; cat /proc/self/status';
    const { stdout } = await rig.tsrun(['exec', id, 'sh', '-c', script]);
    const wanted = await Promise.all(
      ['mnt', 'pid', 'net', 'uts', 'ipc'].map(async (name) =>
        (await import('node:fs/promises')).readlink(`/proc/${pid}/ns/${name}`),
      ),
    );
    const lines = stdout.split('\n');
    t.strictSame(lines.slice(0, 5), wanted);
    t.equal(lines[5], 'config');
    const cgroup = stdout.split('\n').filter((line) => /^\d+:/.test(line));
    t.strictSame(cgroup, readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n'));
    const own = readFileSync(`/proc/${pid}/status`, 'utf8');
    for (const name of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Groups']) {
      t.equal(statusField(stdout, name).trim(), statusField(own, name).trim(), name);
    }
  });

  await t.test('options change what the config has', async (t) => {
    const args = [
      'exec',
      '--cwd',
      '/tmp',
      '--env',
      'A=1',
      '--env',
      'FROM=exec',
      '--user',
      `${other.uid}:${other.gid}`,
      id,
      'sh',
      '-c',
      'pwd; echo $A $FROM $HOME; id -u; id -g',
    ];
    t.equal((await rig.tsrun(args)).stdout, `/tmp\n1 exec ${other.home}\n${other.uid}\n${other.gid}\n`);
    const literal = await rig.tsrun(['exec', id, 'echo', '--env', '-t', '--', 'x']);
    t.equal(literal.stdout, '--env -t -- x\n', "options behind the command are the command's");
  });

  await t.test('--process takes a whole document', async (t) => {
    const file = rig.fresh('process.json');
    const document = {
      terminal: false,
      cwd: '/etc',
      args: ['sh', '-c', 'pwd; echo $ONLY$FROM; id -u; cat /proc/self/status; exit 4'],
      env: ['PATH=/bin', 'ONLY=this'],
      user: { uid: other.uid, gid: other.gid },
      capabilities: {},
    };
    writeFileSync(file, JSON.stringify(document));
    const result = await rig.tsrun(['exec', '--process', file, id]);
    t.equal(result.code, 4, result.stderr);
    t.match(result.stdout, `/etc\nthis\n${other.uid}\n`);
    t.equal(statusField(result.stdout, 'CapBnd'), mask());
    writeFileSync(file, JSON.stringify({ ...document, cwd: 'relative' }));
    expectFailure(t, await rig.tsrun(['exec', '--process', file, id]), { code: 255, message: '/cwd' });
  });

  await t.test('--process leaves the command behind the id alone', async (t) => {
    const file = rig.fresh('process.json');
    writeFileSync(file, JSON.stringify({ cwd: '/', args: ['echo', 'document'], env: ['PATH=/bin'] }));
    t.equal((await rig.tsrun(['exec', '--process', file, id, 'echo', 'command'])).stdout, 'document\n');
  });

  await t.test('--detach and --pid-file', async (t) => {
    const pidFile = rig.fresh('pid');
    expectSuccess(t, await rig.tsrun(['exec', '--detach', '--pid-file', pidFile, id, 'sleep', '500']), 'exec --detach');
    const text = readFileSync(pidFile, 'utf8');
    t.match(text, /^[1-9]\d*$/);
    t.equal(readFileSync(`/proc/${text}/cmdline`, 'utf8'), 'sleep\x00500\x00');
    t.not(readFileSync(`/proc/${text}/status`, 'utf8'), '');
  });

  await t.test('standard input reaches it', async (t) => {
    t.equal((await rig.tsrun(['exec', id, 'cat'], { stdin: 'hello' })).stdout, 'hello');
  });
  await rig.delete(t, id);
});

live('exec of a document that leaves things open', async (t, rig) => {
  const { id, pid } = await rig.sleeper(t, {
    change: (config) => {
      config.process.user = { uid: 0, gid: 0, umask: 0o027 };
      config.process.capabilities = { bounding: ['CAP_KILL'], effective: ['CAP_KILL'], permitted: ['CAP_KILL'] };
      config.process.oomScoreAdj = 321;
      config.process.rlimits = [{ type: 'RLIMIT_CORE', soft: 0, hard: 4096 }];
      config.process.scheduler = { policy: 'SCHED_BATCH', nice: 5 };
    },
  });
  const show =
    'umask; cat /proc/self/oom_score_adj; grep -E "^policy" /proc/self/sched; cat /proc/self/status /proc/self/limits';
  const exec = async (document: object): Promise<string[]> => {
    const file = rig.fresh('process.json');
    writeFileSync(file, JSON.stringify({ cwd: '/', args: ['sh', '-c', show], env: ['PATH=/bin'], ...document }));
    const result = await rig.tsrun(['exec', '--process', file, id]);
    expectSuccess(t, result, 'exec');
    t.equal(result.stderr, '', 'without a warning');
    const [umask = '', oom = '', policy = ''] = result.stdout.split('\n');
    const sets = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((set) => statusField(result.stdout, set));
    const limit = /^Max core file size +(\S+ +\S+)/m.exec(result.stdout)?.[1]?.replace(/ +/, ' ') ?? '';
    return [umask, oom, policy.replace(/\s+/g, ''), limit, ...sets];
  };
  const own = readFileSync(`/proc/${pid}/status`, 'utf8');
  const sets = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((set) => statusField(own, set));
  t.strictSame(await exec({}), ['0027', '321', 'policy:3', '0 4096', ...sets], "has the container's own");
  const document = {
    user: { uid: 0, gid: 0, umask: 0o077 },
    capabilities: { bounding: ['CAP_CHOWN'] },
    oomScoreAdj: 322,
    rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }],
    scheduler: { policy: 'SCHED_OTHER' },
  };
  const none = mask();
  t.strictSame(
    await exec(document),
    ['0077', '322', 'policy:0', '0 0', none, mask(0), mask(0), mask(0), none],
    'what the document names is its own',
  );
  await rig.delete(t, id);
});
