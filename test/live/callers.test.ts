import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { listenUnix } from '../../src/sys/socket.ts';
import { expectSuccess, live, type TsrunOptions } from './support/rig.ts';
import type { CommandResult } from './support/command.ts';
import { testUser } from './support/surroundings.ts';

interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly time: string;
}

/** The lines of a JSON log; the test fails unless a strict reader gets every one of them. */
function readLog(t: Test, file: string): LogLine[] {
  t.ok(existsSync(file), 'the log is there, whatever is in it');
  const lines = readFileSync(file, 'utf8').split('\n');
  t.equal(lines.pop(), '', 'the last line is whole');
  return lines.map((line) => {
    const entry = JSON.parse(line) as LogLine;
    t.match(entry, { level: String, msg: String, time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/ });
    return entry;
  });
}

/** What containerd shows of a failure. */
function lastError(t: Test, file: string): string {
  return readLog(t, file).findLast(({ level }) => level === 'error')?.msg ?? '';
}

/** What the descriptors of a process refer to, by number. */
function linksOf(pid: number): string[] {
  const numbers = readdirSync(`/proc/${pid}/fd`)
    .map(Number)
    .sort((a, b) => a - b);
  return numbers.map((number) => readlinkSync(`/proc/${pid}/fd/${number}`));
}

const sleeping = { args: ['sleep', '1000'] };

live('a container as containerd drives it', async (t, rig) => {
  const bundle = rig.bundle(sleeping);
  const log = path.join(bundle, 'log.json');
  const id = rig.id();
  // The shim's directory is the bundle, and on create a socket of its own leaks into descriptor 3.
  const shim = (args: readonly string[], options: TsrunOptions = {}): Promise<CommandResult> =>
    rig.tsrun(args, { cwd: bundle, global: ['--log', log, '--log-format', 'json'], ...options });

  await t.test('create', async (t) => {
    const leaked = openSync('/dev/zero', 'r');
    const pidFile = path.join(bundle, 'init.pid');
    const create = ['create', '--bundle', bundle, '--pid-file', pidFile, id];
    expectSuccess(t, await shim(create, { extraFds: [leaked] }));
    closeSync(leaked);
    t.equal(readFileSync(pidFile, 'utf8'), String((await rig.state(id)).pid), 'decimal, no line feed');
    t.strictSame(readLog(t, log), [], 'nothing went wrong, and the log is there');
    t.match(await shim(create), { code: 1, stderr: /already exists/ });
    t.match(lastError(t, log), /^tsrun create failed: container with given ID already exists/);
  });
  await t.test('start', async (t) => {
    expectSuccess(t, await shim(['start', id]));
    t.equal((await rig.state(id)).status, 'running');
    const links = linksOf((await rig.state(id)).pid);
    t.equal(links.length, 3, `the leaked descriptor stays outside: ${links.join(' ')}`);
  });
  await t.test('exec', async (t) => {
    const process = rig.fresh('runc-process');
    writeFileSync(process, JSON.stringify({ args: ['/bin/sleep', '1000'], cwd: '/', user: { uid: 0, gid: 0 } }));
    const pidFile = path.join(bundle, 'exec1.pid');
    expectSuccess(t, await shim(['exec', '--process', process, '--detach', '--pid-file', pidFile, id]));
    const pid = Number(readFileSync(pidFile, 'utf8'));
    t.match(readFileSync(`/proc/${pid}/cmdline`, 'latin1'), /sleep\0/);
    writeFileSync(process, JSON.stringify({ args: ['nothing'], cwd: '/', user: { uid: 0, gid: 0 } }));
    const missing = await shim(['exec', '--process', process, '--detach', '--pid-file', `${pidFile}2`, id]);
    t.equal(missing.code, 255);
    t.match(lastError(t, log), /exec: "nothing": executable file not found in \$PATH/);
  });
  await t.test('pause and resume', async (t) => {
    expectSuccess(t, await shim(['pause', id]));
    t.equal((await rig.state(id)).status, 'paused');
    expectSuccess(t, await shim(['resume', id]));
    t.equal((await rig.state(id)).status, 'running');
  });
  await t.test('kill', async (t) => {
    expectSuccess(t, await shim(['kill', id, '28']));
    expectSuccess(t, await shim(['kill', '--all', id, '9']));
    await rig.waitForStatus(id, 'stopped');
    expectSuccess(t, await shim(['kill', '--all', id, '9']), 'kill --all of what has ended');
    t.match(await shim(['kill', id, '9']), { code: 1 });
    t.match(lastError(t, log), /container not running/);
  });
  await t.test('delete, and delete --force once more', async (t) => {
    expectSuccess(t, await shim(['delete', id]));
    expectSuccess(t, await shim(['delete', '--force', id]));
    t.match(await shim(['delete', id]), { code: 1 });
    t.match(lastError(t, log), /does not exist/);
  });
  await t.test('create with a terminal, --no-pivot and --no-new-keyring', async (t) => {
    const terminal = rig.bundle({ ...sleeping, change: (config) => (config.process.terminal = true) });
    await withConsole(async (socket) => {
      const other = rig.id();
      const pidFile = path.join(terminal, 'init.pid');
      const flags = ['--console-socket', socket, '--no-pivot', '--no-new-keyring'];
      expectSuccess(t, await shim(['create', '--bundle', terminal, '--pid-file', pidFile, ...flags, other]));
      expectSuccess(t, await shim(['delete', '--force', other]));
    });
  });
});

live('a container as conmon and podman drive it', async (t, rig) => {
  const id = rig.id();
  const log = rig.fresh('oci-log');
  const conmon = { global: ['--log-format=json', '--log', log] };

  await t.test('create', async (t) => {
    const pidFile = rig.fresh('pidfile');
    const inherited = [openSync('/dev/zero', 'r'), openSync('/dev/full', 'r')];
    const args = ['--bundle', rig.bundle(sleeping), '--pid-file', pidFile, '--preserve-fds', '2', id];
    const env = { _OCI_SYNCPIPE: '30', _OCI_STARTPIPE: '31', XDG_RUNTIME_DIR: '' };
    expectSuccess(t, await rig.tsrun(['create', ...args], { ...conmon, env, extraFds: inherited }));
    for (const fd of inherited) closeSync(fd);
    t.equal(readFileSync(pidFile, 'utf8'), String((await rig.state(id)).pid));
    t.strictSame(readLog(t, log), []);
    expectSuccess(t, await rig.tsrun(['start', id]));
    t.strictSame(linksOf((await rig.state(id)).pid).slice(3), ['/dev/zero', '/dev/full']);
  });
  await t.test('exec', async (t) => {
    const process = rig.fresh('exec-process');
    writeFileSync(process, JSON.stringify({ args: ['sleep', '1000'], env: ['PATH=/bin'], cwd: '/', terminal: true }));
    await withConsole(async (socket) => {
      const pidFile = rig.fresh('exec-pid');
      const args = ['--pid-file', pidFile, '--process', process, '--detach', '--tty', '--console-socket', socket];
      expectSuccess(t, await rig.tsrun(['exec', ...args, id], conmon));
      t.match(readFileSync(pidFile, 'utf8'), /^\d+$/);
    });
  });
  await t.test('kill by number, pause, resume, delete --force', async (t) => {
    for (const args of [
      ['kill', id, '28'],
      ['pause', id],
      ['resume', id],
      ['delete', '--force', id],
    ])
      expectSuccess(t, await rig.tsrun(args), args.join(' '));
    t.match(await rig.tsrun(['state', id]), { code: 1, stderr: /does not exist/ });
  });
});

live('a container as buildah drives it', async (t, rig) => {
  const id = rig.id('buildah');
  const bundle = rig.bundle();
  // buildah has many descriptors open that are none of the container's business.
  const leaked = Array.from({ length: 12 }, () => openSync('/dev/zero', 'r'));
  const args = ['create', '--bundle', bundle, '--pid-file', path.join(bundle, 'pid'), id];
  expectSuccess(t, await rig.tsrun(args, { extraFds: leaked }));
  for (const fd of leaked) closeSync(fd);
  t.equal(readFileSync(path.join(bundle, 'pid'), 'utf8'), String((await rig.state(id)).pid));
  expectSuccess(t, await rig.tsrun(['start', id]));
  t.match(await rig.waitForStatus(id, 'stopped'), { id, pid: 0 });
  expectSuccess(t, await rig.tsrun(['delete', id]));
});

live('kill and delete take a regular expression', async (t, rig) => {
  const { id: first } = await rig.sleeper(t);
  const { id: second } = await rig.sleeper(t);
  const pattern = `^${rig.prefix}-created-[0-9]+$`;
  expectSuccess(t, await rig.tsrun(['kill', '--regex', pattern, 'KILL']));
  for (const id of [first, second]) await rig.waitForStatus(id, 'stopped');
  const again = await rig.tsrun(['kill', '--regex', pattern, 'KILL']);
  t.match(again, { code: 0, stderr: /level=warning.*container not running/ });
  expectSuccess(t, await rig.tsrun(['delete', '-r', pattern]));
  t.equal((await rig.tsrun(['list', '-q'])).stdout, '');
});

live('kill --all of a container without a cgroup reaches its init', async (t, rig) => {
  const id = rig.id();
  const global = ['--cgroup-manager', 'disabled'];
  expectSuccess(t, await rig.tsrun(['run', '--detach', '--bundle', rig.bundle(sleeping), id], { global }));
  expectSuccess(t, await rig.tsrun(['kill', '--all', id, '9']));
  await rig.waitForStatus(id, 'stopped');
  await rig.delete(t, id);
});

/** A socket that takes a console, by a path short enough for one. */
async function withConsole(body: (socket: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsrun-console-'));
  chmodSync(directory, testUser === undefined ? 0o700 : 0o711);
  try {
    const socket = path.join(directory, 's');
    using _server = listenUnix(socket, 'stream');
    await body(socket);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
