import { writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { Test } from 'tap';
import type { CommandResult } from '../live/support/command.ts';
import { expectSuccess, statusField } from '../live/support/rig.ts';
import { waitFor } from '../live/support/wait.ts';
import {
  CONTAINERD_TOOLS,
  HUNGRY,
  RUNTIME_ROOT,
  SHIM_ROOT,
  withEachRuntime,
  type Containerd,
} from './support/containerd.ts';
import { isSystemdManager, isVersion2, limitFile, quotaText, sharesText } from './support/cgroup-view.ts';
import { newerPrograms } from './support/newer-programs.ts';
import { listRuntimesAndShims } from './support/runtimes.ts';
import { engines } from './support/surroundings.ts';

engines('containerd', { tools: [...CONTAINERD_TOOLS, 'script'] }, async (t, inside) => {
  await withEachRuntime(
    t,
    inside,
    async (t, containerd) => {
      for (const [name, test] of TESTS) {
        const skip = containerd.runtime.isShim === true && (OF_RUNC.get(name) ?? false);
        await t.test(name, { skip }, async (t) => test(t, containerd));
      }
    },
    listRuntimesAndShims,
  );
});

/** Each with its name; in this order, as the last one looks for what the others have left. */
const TESTS: readonly (readonly [string, (t: Test, containerd: Containerd) => Promise<void>])[] = [
  ['run --rm returns what the container returns', runReturns],
  ['run of what cannot run names the reason and leaves nothing', runRefuses],
  ['run --detach, task list, kill and delete', lifecycle],
  ['task exec', taskExec],
  ['task pause and resume', pauseResume],
  ['task ps and metrics', psAndMetrics],
  ['run --tty and task exec --tty', terminal],
  ['a detached container writes into FIFOs', fifos],
  ['what a process is given', processOptions],
  ['what is mounted', mountOptions],
  ['limits, and the event of a memory limit', limits],
  ['namespaces that are shared, joined, or mapped', namespaces],
  ['run --no-pivot', noPivot],
  ['run --runc-root', runcRoot],
  ['run --seccomp', seccomp],
  ['containers at the same time', parallel],
  ['nothing is left of any container', nothingLeft],
];

/** Tests of options that ctr hands to runc's shim and to no other, which it says when it is asked. */
const OF_RUNC: ReadonlyMap<string, string> = new Map(
  ['run --no-pivot', 'run --runc-root'].map((name) => [name, "ctr has this option for runc's shim alone"]),
);

async function runReturns(t: Test, containerd: Containerd): Promise<void> {
  const ended = await containerd.run(['--rm'], 'code', 'echo to stdout; echo to stderr >&2; exit 7');
  t.equal(ended.code, 7);
  t.equal(ended.stdout, 'to stdout\n');
  t.equal(ended.stderr, 'to stderr\n');
  expectSuccess(t, await containerd.run(['--rm'], 'success', ['true']));
  // ctr hands its standard input on. The end of it does not come through, so that the program must not wait for it.
  const read = await containerd.run(['--rm'], 'stdin', 'read line; echo "read $line"', { stdin: 'a line\n' });
  t.equal(read.stdout, 'read a line\n');
}

async function runRefuses(t: Test, containerd: Containerd): Promise<void> {
  const cases = [
    { id: 'not-found', command: ['nosuch'], message: 'exec: "nosuch": executable file not found in $PATH' },
    { id: 'no-file', command: ['/bin/nosuch'], message: 'no such file or directory' },
    { id: 'not-executable', command: ['/etc/not-executable'], message: 'permission denied' },
  ];
  for (const { id, command, message } of cases) {
    const { code, stderr } = await containerd.run(['--rm'], id, command);
    t.equal(code, 1, id);
    t.match(stderr, 'OCI runtime create failed');
    t.match(stderr, message);
  }
  t.equal(await containerd.output(t, ['container', 'list', '--quiet']), '');
}

async function lifecycle(t: Test, containerd: Containerd): Promise<void> {
  const pidFile = containerd.inside.fresh('pid');
  await containerd.sleeper(t, 'life', ['--pid-file', pidFile]);
  t.equal(await containerd.status('life'), 'RUNNING');
  const { stdout } = await containerd.inside.run(['cat', pidFile]);
  t.equal(Number(stdout), await containerd.pid('life'), 'the pid file');
  t.not((await containerd.run([], 'life', ['true'])).code, 0, 'an id is not given twice');
  const refused = await containerd.ctr(['task', 'delete', 'life']);
  t.equal(refused.code, 1, 'what runs is not deleted');
  t.equal(await containerd.status('life'), 'RUNNING');
  t.match((await containerd.remove(t, 'life')).stderr, 'exit with non-zero exit code 137');

  const handler = 'trap "exit 42" USR1; echo ready; while :; do sleep 0.1; done';
  const running = containerd.inside.start(containerd.argv(containerd.runArgs(['--rm'], 'trap', handler)));
  await waitFor(() => running.output() === 'ready\n', 20_000);
  expectSuccess(t, await containerd.ctr(['task', 'kill', '--signal', 'SIGUSR1', 'trap']));
  t.equal((await running.done).code, 42, 'the signal has reached its handler');

  await containerd.sleeper(t, 'force');
  expectSuccess(t, await containerd.ctr(['task', 'delete', '--force', 'force']), 'task delete --force');
  expectSuccess(t, await containerd.ctr(['container', 'delete', 'force']));
}

async function taskExec(t: Test, containerd: Containerd): Promise<void> {
  await containerd.sleeper(t, 'exec', ['--env', 'GIVEN=to the container', '--cwd', '/tmp']);
  const exec = async (flags: readonly string[], command: readonly string[]): Promise<CommandResult> =>
    containerd.ctr(['task', 'exec', '--exec-id', 'process', ...flags, 'exec', ...command]);
  // ctr and the shim open the FIFOs of the output while the process runs: of one that ends at once, ctr may lose it.
  const shell = async (script: string, flags: readonly string[] = []): Promise<CommandResult> =>
    exec(flags, ['sh', '-c', `sleep 0.2; ${script}`]);
  const first = await shell('pwd; echo $GIVEN; id -u; echo error >&2; exit 9');
  t.equal(first.code, 9, 'exit code');
  t.equal(first.stdout, '/tmp\nto the container\n0\n', 'standard output');
  t.equal(first.stderr, 'error\n', 'standard error');
  const worker = await shell('pwd; id -u; id -g', ['--user', '1000:2000', '--cwd', '/home']);
  t.equal(worker.stdout, '/home\n1000\n2000\n', 'user, group and working directory');
  t.equal((await exec([], ['sh', '-c', 'kill -KILL $$'])).code, 137, 'exit code after a signal');
  const missing = await exec([], ['nosuch']);
  t.equal(missing.code, 1, 'exit code of what cannot run');
  t.match(missing.stderr, 'exec: "nosuch": executable file not found in $PATH');
  expectSuccess(t, await exec(['--detach'], ['sleep', '1001']), 'exec --detach');
  const processes = async (): Promise<string> => (await shell('ps -o args', ['--exec-id', 'other'])).stdout;
  t.match(await processes(), /^sleep 1001$/m);
  expectSuccess(t, await containerd.ctr(['task', 'kill', '--exec-id', 'process', '--signal', 'SIGKILL', 'exec']));
  await waitFor(async () => !(await processes()).includes('1001'), 20_000);
  t.equal(await containerd.status('exec'), 'RUNNING', 'only that process is killed');
  await containerd.remove(t, 'exec');
}

async function pauseResume(t: Test, containerd: Containerd): Promise<void> {
  const directory = containerd.inside.fresh('counted');
  expectSuccess(t, await containerd.inside.run(['mkdir', directory]));
  const count = async (): Promise<number> =>
    Number((await containerd.inside.run(['cat', `${directory}/count`])).stdout);
  const script = 'while :; do i=$((i+1)); echo $i >/count/next; mv /count/next /count/count; sleep 0.01; done';
  const bind = `type=bind,src=${directory},dst=/count,options=rbind:rw`;
  expectSuccess(t, await containerd.run(['--detach', '--null-io', '--mount', bind], 'pause', script));
  await waitFor(async () => (await count()) > 2, 20_000);
  expectSuccess(t, await containerd.ctr(['task', 'pause', 'pause']), 'task pause');
  await containerd.untilStatus(t, 'pause', 'PAUSED');
  const before = await count();
  await setTimeout(200);
  t.equal(await count(), before, 'it does not count');
  expectSuccess(t, await containerd.ctr(['task', 'resume', 'pause']), 'task resume');
  await containerd.untilStatus(t, 'pause', 'RUNNING');
  await waitFor(async () => (await count()) > before, 20_000);
  await containerd.remove(t, 'pause');
}

async function psAndMetrics(t: Test, containerd: Containerd): Promise<void> {
  await containerd.sleeper(t, 'ps', ['--memory-limit', '67108864']);
  const running = await containerd.ctr(['task', 'exec', '--detach', '--exec-id', 'second', 'ps', 'sleep', '1002']);
  expectSuccess(t, running);
  const rows = (await containerd.output(t, ['task', 'ps', 'ps'])).split('\n').slice(1);
  const pids = rows.map((row) => Number(row.trim().split(/\s+/)[0]));
  t.equal(pids.length, 2);
  t.ok(pids.includes(await containerd.pid('ps')), 'the first process is among them');
  t.match(rows.join('\n'), 'second', 'the shim recognizes the pid of an exec');
  const metrics = await containerd.output(t, ['task', 'metrics', 'ps']);
  const [usage, limit, cpu] = isVersion2
    ? ['memory.usage', 'memory.usage_limit', 'cpu.usage_usec']
    : ['memory.usage_in_bytes', 'memory.limit_in_bytes', 'cpuacct.usage'];
  const value = (name: string): string => new RegExp(`^${name} +(\\d+) *$`, 'm').exec(metrics)?.[1] ?? metrics;
  t.match(value(usage), /^[1-9]/);
  t.equal(value(limit), '67108864');
  t.equal(value('pids.current'), '2');
  t.match(value(cpu), /^[1-9]/);
  await containerd.remove(t, 'ps');
}

async function terminal(t: Test, containerd: Containerd): Promise<void> {
  const size = { rows: 33, columns: 77 };
  // ctr sets the size when the program runs already.
  const resized = 'for i in $(seq 200); do [ "$(stty size 2>&1)" != "33 77" ] || break; sleep 0.05; done; stty size';
  const script = `tty; test -t 0 && test -t 1 && test -t 2 && echo terminal; ${resized}; read line; echo "read $line"; exit 3`;
  const run = containerd.runArgs(['--rm', '--tty'], 'tty', script);
  const first = await containerd.underTerminal(run, { ...size, stdin: 'typed\n' });
  t.equal(first.code, 3);
  // script(1) passes the end of its own input on as a character, which the terminal may echo in front of a line.
  for (const line of [/^(\^.)?\/dev\/pts\/0$/m, /^(\^.)?terminal$/m, /^(\^.)?33 77$/m, /^(\^.)?read typed$/m])
    t.match(first.stdout, line);

  await containerd.sleeper(t, 'tty-exec');
  const exec = ['task', 'exec', '--tty', '--exec-id', 'shell', 'tty-exec', 'sh', '-c', script];
  const second = await containerd.underTerminal(exec, { ...size, stdin: 'again\n' });
  t.equal(second.code, 3);
  for (const line of [/^(\^.)?terminal$/m, /^(\^.)?33 77$/m, /^(\^.)?read again$/m]) t.match(second.stdout, line);
  await containerd.remove(t, 'tty-exec');
}

async function fifos(t: Test, containerd: Containerd): Promise<void> {
  const { inside } = containerd;
  const directory = inside.fresh('fifos');
  const gate = inside.fresh('gate');
  expectSuccess(t, await inside.run(['mkdir', directory, gate]));
  const script = 'until [ -e /gate/open ]; do sleep 0.05; done; echo line 1; echo line 2 >&2; exec sleep 1000';
  const flags = ['--detach', '--fifo-dir', directory, '--mount', `type=bind,src=${gate},dst=/gate,options=rbind:rw`];
  expectSuccess(t, await containerd.run(flags, 'fifo', script));
  // Until it ends, ctr reads from them too.
  expectSuccess(t, await inside.run(['touch', `${gate}/open`]));
  for (const [name, line] of [
    ['stdout', 'line 1\n'],
    ['stderr', 'line 2\n'],
  ] as const) {
    const read = await inside.run([
      'sh',
      '-c',
      'exec head -n 1 "$(find "$0" -type p -name "$1")"',
      directory,
      `fifo-${name}`,
    ]);
    t.equal(read.stdout, line);
  }
  t.equal(await containerd.status('fifo'), 'RUNNING');
  await containerd.remove(t, 'fifo');
}

async function processOptions(t: Test, containerd: Containerd): Promise<void> {
  const file = containerd.inside.fresh('environment');
  writeFileSync(file, 'FROM_FILE=file\n');
  const flags = ['--env', 'GIVEN=given', '--env-file', file, '--cwd', '/var'];
  const given = await containerd.run(['--rm', ...flags], 'env', 'echo $GIVEN $FROM_FILE $FROM_IMAGE $PWD');
  t.equal(given.stdout, 'given file yes /var\n');

  const status = async (id: string, flags: readonly string[], name: string): Promise<string> =>
    statusField((await containerd.run(['--rm', ...flags], id, ['cat', '/proc/self/status'])).stdout, name);
  const has = (mask: string, capability: number): boolean => (BigInt(`0x${mask}`) & (1n << BigInt(capability))) !== 0n;
  const [CAP_CHOWN, CAP_NET_ADMIN] = [0, 12];
  const plain = await status('caps', [], 'CapEff');
  t.strictSame([has(plain, CAP_CHOWN), has(plain, CAP_NET_ADMIN)], [true, false]);
  const changed = await status('caps', ['--cap-add', 'CAP_NET_ADMIN', '--cap-drop', 'CAP_CHOWN'], 'CapEff');
  t.strictSame([has(changed, CAP_CHOWN), has(changed, CAP_NET_ADMIN)], [false, true]);
  t.equal(await status('privs', [], 'NoNewPrivs'), '1');
  t.equal(await status('privs', ['--allow-new-privs'], 'NoNewPrivs'), '0');
}

async function mountOptions(t: Test, containerd: Containerd): Promise<void> {
  const directory = containerd.inside.fresh('bound');
  expectSuccess(t, await containerd.inside.run(['sh', '-c', 'mkdir "$0" && echo content >"$0/file"', directory]));
  const bind = (options: string): string[] => [
    '--mount',
    `type=bind,src=${directory},dst=/mnt/bound,options=${options}`,
  ];
  const write = 'cat /mnt/bound/file; touch /mnt/bound/new && echo written';
  const writable = await containerd.run(['--rm', ...bind('rbind:rw')], 'bind', write);
  t.equal(writable.stdout, 'content\nwritten\n');
  const readOnly = await containerd.run(['--rm', ...bind('rbind:ro')], 'bind', write);
  t.equal(readOnly.stdout, 'content\n');
  t.match(readOnly.stderr, 'Read-only file system');

  const tmpfs = ['--mount', 'type=tmpfs,src=tmpfs,dst=/mnt/memory,options=size=1m:nosuid'];
  const root = 'touch /file; touch /mnt/memory/file && df -k /mnt/memory | tail -n 1';
  const sealed = await containerd.run(['--rm', '--read-only', ...tmpfs], 'read-only', root);
  t.match(sealed.stderr, /touch: \/file: Read-only file system/);
  t.match(sealed.stdout, /^tmpfs +1024 /);

  const device = await containerd.run(['--rm', '--device', '/dev/fuse'], 'device', 'stat -c %F-%t-%T /dev/fuse');
  t.equal(device.stdout, 'character special file-a-e5\n');
}

async function limits(t: Test, containerd: Containerd): Promise<void> {
  const flags = ['--memory-limit', '67108864', '--cpus', '0.5', '--cpu-shares', '512'];
  const [name, cgroup] = isSystemdManager
    ? ['system.slice:tsrun:limits-deep', '/system.slice/tsrun-limits-deep.scope']
    : ['/tsrun-limits/deep', '/tsrun-limits/deep'];
  await containerd.sleeper(t, 'limits', [...flags, '--cgroup', name]);
  const paths = (['memory', 'quota', 'shares', 'processes'] as const).map((limit) => limitFile(limit, cgroup));
  const { stdout } = await containerd.inside.run(['cat', ...paths]);
  const wanted = ['67108864', quotaText(50_000), sharesText(512), await containerd.pid('limits')];
  t.equal(stdout, `${wanted.join('\n')}\n`);
  await containerd.remove(t, 'limits');

  const pidFile = containerd.inside.fresh('events.pid');
  const watch = ['sh', '-c', 'echo $$ >"$0"; exec "$@"', pidFile];
  const events = containerd.inside.start([...watch, ...containerd.argv(['events'])]);
  // Whoever watches sees nothing of what was before.
  await waitFor(async () => {
    await containerd.run(['--rm'], 'early', ['true']);
    return events.output().includes('/tasks/exit');
  }, 30_000);
  const hog = await containerd.run(['--rm', '--memory-limit', '16777216'], 'hog', HUNGRY);
  t.equal(hog.code, 137);
  await waitFor(() => /\/tasks\/oom .*"hog"/.test(events.output()), 20_000).catch(() => t.fail('an event /tasks/oom'));
  await containerd.inside.run(['sh', '-c', 'kill "$(cat "$0")"', pidFile]);
  await events.done;
}

async function namespaces(t: Test, containerd: Containerd): Promise<void> {
  const own = async (type: string): Promise<string> =>
    (await containerd.inside.run(['readlink', `/proc/self/ns/${type}`])).stdout;
  const seen = async (flags: readonly string[], type: string): Promise<string> =>
    (await containerd.run(['--rm', ...flags], 'ns', ['readlink', `/proc/self/ns/${type}`])).stdout;
  t.not(await seen([], 'net'), await own('net'));
  t.equal(await seen(['--net-host'], 'net'), await own('net'));
  t.equal(await seen(['--with-ns', 'ipc:/proc/1/ns/ipc'], 'ipc'), await own('ipc'));

  const mapped = ['--uidmap', '0:100000:65536', '--gidmap', '0:200000:65536'];
  const script = 'id -u; cat /proc/self/uid_map /proc/self/gid_map; stat -c %u:%g /bin/busybox /home/worker';
  const user = await containerd.run(['--rm', ...mapped], 'user', script);
  t.equal(user.code, 0, user.stderr);
  t.strictSame(user.stdout.trim().split(/\s+/), '0 0 100000 65536 0 200000 65536 0:0 1000:1000'.split(' '));
  // From containerd 2 on the layers are mounted with the ids that the container has, in place of a copy of them.
  if (newerPrograms === undefined) return;
  const layers = await containerd.run(['--rm', '--remap-labels', ...mapped], 'layers', script);
  t.strictSame([layers.stdout, layers.stderr], [user.stdout, '']);
}

/** ctr drops `--runc-binary` here: the runtime is the `runc` that the daemon's PATH leads to. */
async function noPivot(t: Test, containerd: Containerd): Promise<void> {
  const result = await containerd.run(
    ['--rm', '--no-pivot'],
    'no-pivot',
    'echo $FROM_IMAGE; ls /; cat /etc/not-executable',
  );
  expectSuccess(t, result, 'ctr run --no-pivot');
  t.match(result.stdout, /^yes\nbin\n/);
}

async function runcRoot(t: Test, containerd: Containerd): Promise<void> {
  const root = containerd.inside.fresh('runtime-root');
  const list = async (place: string): Promise<string> =>
    (await containerd.inside.run(['ls', `${place}/default`])).stdout;
  await containerd.sleeper(t, 'root', ['--runc-root', root]);
  t.equal(await list(root), 'root\n');
  t.notMatch(await list(RUNTIME_ROOT), 'root');
  const { code } = await containerd.inside.run([containerd.runtime.path, '--root', `${root}/default`, 'state', 'root']);
  t.equal(code, 0, 'the runtime finds it there');
  await containerd.remove(t, 'root');
  t.equal(await list(root), '');
}

async function seccomp(t: Test, containerd: Containerd): Promise<void> {
  const script = 'grep ^Seccomp: /proc/self/status; unshare -m true; echo $?';
  const free = await containerd.run(['--rm', '--cap-add', 'CAP_SYS_ADMIN'], 'free', script);
  t.match(free.stdout, /^Seccomp:\s+0\n0$/m);
  const filtered = await containerd.run(['--rm', '--seccomp'], 'filtered', script);
  t.match(filtered.stdout, /^Seccomp:\s+2\n1$/m);
}

async function parallel(t: Test, containerd: Containerd): Promise<void> {
  const codes = [11, 12, 13, 14];
  const results = await Promise.all(
    codes.map(async (code) => containerd.run(['--rm'], `parallel-${code}`, `echo ${code}; exit ${code}`)),
  );
  t.strictSame(
    results.map(({ code, stdout }) => [code, stdout]),
    codes.map((code) => [code, `${code}\n`]),
  );
}

async function nothingLeft(t: Test, containerd: Containerd): Promise<void> {
  t.equal(await containerd.output(t, ['container', 'list', '--quiet']), '');
  // A runtime may keep hidden things of its own beside the containers.
  const { isShim } = containerd.runtime;
  const root = isShim === true ? SHIM_ROOT : RUNTIME_ROOT;
  const states = await containerd.inside.run(['ls', `${root}/default`]);
  t.strictSame([states.code, states.stdout], [0, '']);
  const roots = ['/sys/fs/cgroup', '-mindepth', isVersion2 ? '2' : '3', '-type', 'd'];
  const cgroups = await containerd.inside.run([
    'find',
    ...roots,
    '(',
    '-path',
    '*/default/*',
    '-o',
    '-name',
    'deep',
    '-o',
    '-name',
    'tsrun-*.scope',
    ')',
  ]);
  t.strictSame([cgroups.code, cgroups.stdout], [0, '']);
  const mounts = await containerd.inside.run([
    'grep',
    `/run/containerd-${containerd.runtime.name}/.*rootfs`,
    '/proc/self/mountinfo',
  ]);
  t.equal(mounts.stdout, '');
}
