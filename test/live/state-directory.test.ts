import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { connectUnix, sendMessage } from '../../src/sys/socket.ts';
import { setUserNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BundleOptions, type Rig } from './support/rig.ts';
import { missingTools, needsRoot } from './support/surroundings.ts';
import { isRunning, waitFor, waitForEnd } from './support/wait.ts';

const NOBODY = 65_534;

/** The socket on which the init of a created container waits. */
function socketOf(rig: Rig, id: string): string {
  return execFileSync('find', [path.join(rig.root, id), '-type', 's'], { encoding: 'utf8' }).trim();
}

function modeOf(file: string): string {
  return (statSync(file).mode & 0o777).toString(8);
}

live('a state directory is not what its name leads to', async (t, rig) => {
  await t.test('delete --force of a symlink takes the link away, and nothing behind it', async (t) => {
    const victim = rig.path('victim');
    mkdirSync(path.join(victim, 'deep'), { recursive: true });
    writeFileSync(path.join(victim, 'file'), 'precious');
    mkdirSync(rig.root, { recursive: true, mode: 0o700 });
    const id = rig.id('link');
    symlinkSync(victim, path.join(rig.root, id));
    expectFailure(t, await rig.tsrun(['delete', id]), { message: 'does not exist' });
    expectSuccess(t, await rig.tsrun(['delete', '--force', id]), 'delete --force');
    t.same(readdirSync(victim).sort(), ['deep', 'file']);
    t.equal(lstatSync(path.join(rig.root, id), { throwIfNoEntry: false }), undefined, 'the link is gone');
  });

  await t.test('nor is a container that a symlink leads to another one', async (t) => {
    const { id, pid } = await rig.sleeper(t);
    const link = rig.id('alias');
    symlinkSync(id, path.join(rig.root, link));
    for (const command of ['state', 'kill', 'delete'])
      expectFailure(t, await rig.tsrun([command, link]), { message: 'does not exist' });
    expectSuccess(t, await rig.tsrun(['delete', '--force', link]), 'delete --force');
    t.ok(isRunning(pid));
    t.equal((await rig.state(id)).status, 'running');
    await rig.delete(t, id);
  });

  await t.test('a symlink and a directory in it are removed as such', async (t) => {
    const victim = rig.path('other-victim');
    mkdirSync(victim);
    writeFileSync(path.join(victim, 'file'), 'precious');
    const { id } = await rig.create(t);
    const own = path.join(rig.root, id);
    mkdirSync(path.join(own, 'directory/deeper'), { recursive: true });
    symlinkSync(victim, path.join(own, 'directory/link'));
    symlinkSync(victim, path.join(own, 'link'));
    expectSuccess(t, await rig.tsrun(['delete', '--force', id]), 'delete --force');
    t.notOk(existsSync(own));
    t.same(readdirSync(victim), ['file']);
  });

  await t.test('delete --force takes one whose state file is empty, and says what it does not know', async (t) => {
    const global = ['--cgroup-manager', 'disabled'];
    const id = rig.id('empty');
    const pidFile = rig.fresh('pid');
    const args = ['create', '--pid-file', pidFile, '--bundle', rig.bundle(), id];
    expectSuccess(t, await rig.tsrun(args, { global }), 'create');
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
    writeFileSync(path.join(rig.root, id, 'state.json'), '');
    expectFailure(t, await rig.tsrun(['delete', id]), { message: 'it is no JSON' });
    const forced = await rig.tsrun(['delete', '--force', id]);
    t.equal(forced.code, 0, forced.stderr);
    t.match(forced.stderr, /level=warning.*it is no JSON/);
    t.notOk(existsSync(path.join(rig.root, id)));
  });

  await t.test('delete --force ends what a damaged record still says, and tells of what may be left', async (t) => {
    const damage = async (change: (record: Record<string, unknown>) => unknown) => {
      const { id, pid } = await rig.sleeper(t);
      const file = path.join(rig.root, id, 'state.json');
      const text = readFileSync(file, 'utf8');
      const damaged = change(JSON.parse(text) as Record<string, unknown>);
      writeFileSync(file, typeof damaged === 'string' ? damaged : JSON.stringify(damaged));
      const { code, stderr } = await rig.tsrun(['delete', '--force', id]);
      t.equal(code, 0, stderr);
      t.notOk(existsSync(path.join(rig.root, id)));
      const isLeft = isRunning(pid);
      if (isLeft) process.kill(pid, 'SIGKILL');
      const remove = async (): Promise<void> => {
        // With its record the container can be deleted after all.
        await waitForEnd(pid);
        mkdirSync(path.join(rig.root, id), { recursive: true });
        writeFileSync(file, text);
        expectSuccess(t, await rig.tsrun(['delete', '--force', id]));
      };
      return { id, pid, stderr, isLeft, remove };
    };
    for (const change of [
      (record: Record<string, unknown>) => ({ ...record, created: 7 }),
      (record: Record<string, unknown>) => ({ ...record, version: 99, hasPidNamespace: undefined }),
      ({ cgroup: _, ...record }: Record<string, unknown>) => record,
      ({ init: _, ...record }: Record<string, unknown>) => ({ ...record, created: 7 }),
    ]) {
      const { stderr, isLeft, remove } = await damage(change);
      t.notOk(isLeft, 'its process has ended');
      t.match(stderr, /level=warning.*it is no state of container.*no process is left in a cgroup of its name/);
      await remove();
    }
    for (const change of [
      () => '',
      (record: Record<string, unknown>) => JSON.stringify(record).slice(0, -20),
      (record: Record<string, unknown>) => ({ ...record, id: 'another' }),
      (record: Record<string, unknown>) => ({ ...record, init: { pid: 'x' }, cgroup: 7 }),
    ]) {
      const { id, pid, stderr, isLeft, remove } = await damage(change);
      t.ok(isLeft, 'what is not known for sure is left alone');
      t.match(
        stderr,
        new RegExp(
          `a process in the cgroup .*${id}.* may be left of it, and is not touched: ${pid}; .*kill -KILL ${pid}`,
        ),
      );
      await remove();
    }
  });

  await t.test('a failed write of the state leaves no temporary file', { skip: missingTools('strace') }, async (t) => {
    const { id } = await rig.sleeper(t);
    const before = readdirSync(path.join(rig.root, id)).sort();
    const calls = 'rename,renameat,renameat2';
    const under = [
      'strace',
      '-f',
      '-o',
      rig.fresh('strace'),
      '-e',
      `trace=${calls}`,
      '-e',
      `inject=${calls}:error=EIO`,
    ];
    expectFailure(t, await rig.tsrun(['update', '--pids-limit', '77', id], { under }), { message: /write .*EIO/ });
    t.same(readdirSync(path.join(rig.root, id)).sort(), before);
    await rig.delete(t, id);
  });

  await t.test('a temporary name of a pid file that was left keeps nobody from writing one', async (t) => {
    const directory = rig.fresh('pids');
    mkdirSync(directory, { mode: 0o777 });
    chmodSync(directory, 0o777);
    writeFileSync(path.join(directory, '.pid'), '');
    const { id, pid } = await rig.create(t, {}, ['--pid-file', path.join(directory, 'pid')]);
    t.equal(readFileSync(path.join(directory, 'pid'), 'utf8'), String(pid));
    t.same(readdirSync(directory).sort(), ['.pid', 'pid']);
    await rig.delete(t, id);
  });
});

live('who may start a created container', async (t, rig) => {
  const skip = needsRoot('connects as another user');
  const userNamespace: BundleOptions = {
    change: (config) => {
      setUserNamespace(config);
    },
  };

  await t.test(
    'nobody else reaches the socket, whatever the umask, and the root can be passed',
    { skip },
    async (t) => {
      for (const bundle of [{}, userNamespace]) {
        const id = rig.id('open');
        const under = ['sh', '-c', 'umask 0; exec "$@"', 'sh'];
        expectSuccess(t, await rig.tsrun(['create', '--bundle', rig.bundle(bundle), id], { under }), 'create');
        chmodSync(rig.root, 0o755);
        const socket = socketOf(rig, id);
        t.equal(modeOf(socket), '600');
        t.equal(modeOf(path.dirname(socket)), '700');
        t.equal(modeOf(path.join(rig.root, id, 'state.json')), '600', 'nor what start has to show');
        t.throws(() => connectAs(NOBODY, socket), { code: 'host', message: /EACCES$/ });
        expectSuccess(t, await rig.tsrun(['start', id]), 'start');
        await rig.delete(t, id);
      }
    },
  );

  /** Lets another user through on purpose. */
  const create = async (t: Test, bundle: BundleOptions): Promise<{ id: string; pid: number; socket: string }> => {
    const { id, pid } = await rig.create(t, { args: ['sleep', '1000'], ...bundle });
    chmodSync(rig.root, 0o755);
    const socket = socketOf(rig, id);
    chmodSync(path.dirname(socket), 0o777);
    chmodSync(socket, 0o777);
    return { id, pid, socket };
  };

  await t.test('init does not listen to another user who got there', { skip }, async (t) => {
    const { id, pid, socket } = await create(t, {});
    using _connection = connectAs(NOBODY, socket);
    await waitForEnd(pid);
    t.equal((await rig.state(id)).status, 'stopped', 'it ends rather than that it takes orders');
    await rig.delete(t, id);
  });

  await t.test('in a user namespace init listens to who has the token', { skip }, async (t) => {
    for (const token of [Buffer.alloc(16), Buffer.from('x')]) {
      const { id, pid, socket } = await create(t, userNamespace);
      using connection = connectAs(NOBODY, socket);
      sendMessage(connection.number, token);
      await waitForEnd(pid);
      await rig.delete(t, id);
    }
    const { id } = await create(t, userNamespace);
    expectSuccess(t, await rig.tsrun(['start', id]), 'start');
    t.equal((await rig.state(id)).status, 'running');
    await rig.delete(t, id);
  });
});

live('start lets the program go last', async (t, rig) => {
  await t.test(
    'nothing is done behind it that a caller could run into',
    { skip: missingTools('strace') },
    async (t) => {
      const { id } = await rig.create(t, { args: ['sleep', '1000'] });
      const log = rig.fresh('strace');
      const calls = 'sendmsg,recvmsg,unlink,unlinkat,rename,renameat,renameat2,open,openat,mkdir,exit_group';
      expectSuccess(
        t,
        await rig.tsrun(['start', id], { under: ['strace', '-o', log, '-e', `trace=${calls}`] }),
        'start',
      );
      const names = readFileSync(log, 'utf8')
        .split('\n')
        .flatMap((line) => /^(?:\d+ +)?(\w+)\(/.exec(line)?.[1] ?? []);
      t.strictSame(names.slice(names.lastIndexOf('sendmsg')), ['sendmsg', 'recvmsg', 'exit_group']);
      t.equal(socketOf(rig, id), '', 'the socket was taken away before');
      await rig.delete(t, id);
    },
  );

  await t.test('a step that fails behind it is told as ever', { skip: missingTools('strace') }, async (t) => {
    const { id, pid } = await rig.create(t);
    const inject = ['-e', 'trace=close_range', '-e', 'inject=close_range:error=EPERM'];
    const tracing = rig.start(['strace', '-qq', '-o', '/dev/null', '-p', String(pid), ...inject]);
    await waitFor(() => /TracerPid:\t[1-9]/.test(readFileSync(`/proc/${pid}/status`, 'latin1')));
    const log = rig.fresh('log');
    const result = await rig.tsrun(['start', id], { global: ['--log', log, '--log-format', 'json'] });
    const message = 'close every other descriptor: operation not permitted: EPERM';
    t.match(result, { code: 1, stdout: '', stderr: `${message}\n` });
    const lines = readFileSync(log, 'utf8').trim().split('\n');
    t.match(JSON.parse(lines.at(-1) ?? ''), { level: 'error', msg: message, code: 'step', errno: 'EPERM' });
    t.equal(lines.length, 1, 'once');
    await tracing.done;
    await rig.waitForStatus(id, 'stopped');
    await rig.delete(t, id);
  });

  await t.test('an init that ends instead of answering is said to be gone', async (t) => {
    const { id, pid } = await rig.create(t);
    process.kill(pid, 'SIGSTOP');
    const starting = rig.startTsrun(['start', id]);
    await waitFor(() => socketOf(rig, id) === '');
    process.kill(pid, 'SIGKILL');
    expectFailure(t, await starting.done, { message: 'the init process is gone' });
    t.notMatch((await starting.done).stderr, 'ECONNRESET');
    await rig.delete(t, id);
  });
});

function connectAs(uid: number, socket: string): ReturnType<typeof connectUnix> {
  process.seteuid?.(uid);
  try {
    return connectUnix(socket, 'seqpacket');
  } finally {
    process.seteuid?.(0);
  }
}
