import { chmodSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { expectSuccess } from '../live/support/rig.ts';
import { waitFor } from '../live/support/wait.ts';
import { CONTAINERD_TOOLS, RUNTIME_ROOT, SHIM_ROOT, withEachRuntime, type Containerd } from './support/containerd.ts';
import { newerPrograms } from './support/newer-programs.ts';
import { listRuntimesAndShims, sharedShim, type Runtime } from './support/runtimes.ts';
import { engines, type Surroundings } from './support/surroundings.ts';

const PATIENCE_MS = 30_000;

/** containerd's own shim, with runc, shows that a test is right. */
function listShims(inside: Surroundings): Runtime[] {
  const shims = listRuntimesAndShims(inside).filter(({ name, isShim }) => name === 'runc' || isShim === true);
  return [...shims, sharedShim(inside)];
}

engines('shims of containerd', { tools: CONTAINERD_TOOLS }, async (t, inside) => {
  await withEachRuntime(
    t,
    inside,
    async (t, containerd) => {
      // runc's shim leaves the sockets of shims that were killed.
      await inside.run(['sh', '-c', 'rm -f /run/containerd/s/*']);
      for (const [name, test] of TESTS) await t.test(name, async (t) => test(t, containerd));
    },
    listShims,
  );
});

/** In this order, as the last one looks for what the others have left. */
const TESTS: readonly (readonly [string, (t: Test, containerd: Containerd) => Promise<void>])[] = [
  ['events come in their order', events],
  ['output goes to a file, and to a logger', loggers],
  ['the end of a container is the end of what was added', addedEnds],
  ['containers outlive containerd', outlives],
  ['a container that ends while there is no containerd', endsAlone],
  ['a shim that is killed leaves nothing', killed],
  ['a shim serves the containers of a pod', pod],
  ['garbage on the socket', garbage],
  ['containers one after the other, and at the same time', many],
  ['nothing is left', nothingLeft],
];

async function events(t: Test, containerd: Containerd): Promise<void> {
  const { inside } = containerd;
  const pidFile = inside.fresh('events.pid');
  const watch = ['sh', '-c', 'echo $$ >"$0"; exec "$@"', pidFile];
  const watching = inside.start([...watch, ...containerd.argv(['events'])]);
  await waitFor(async () => {
    await containerd.run(['--rm'], 'early', ['true']);
    return watching.output().includes('/tasks/exit');
  }, PATIENCE_MS);
  await containerd.sleeper(t, 'events');
  const exec = ['task', 'exec', '--exec-id', 'added', 'events', 'sh', '-c', 'exit 3'];
  t.equal((await containerd.ctr(exec)).code, 3);
  await containerd.output(t, ['task', 'pause', 'events']);
  await containerd.output(t, ['task', 'resume', 'events']);
  await containerd.remove(t, 'events');
  await waitFor(() => /\/tasks\/delete .*"events"/.test(watching.output()), PATIENCE_MS);
  await inside.run(['sh', '-c', 'kill "$(cat "$0")"', pidFile]);
  const lines = (await watching.done).stdout.split('\n').filter((line) => line.includes('"container_id":"events"'));
  const seen = lines.map((line) => {
    const [, topic, json = ''] = /(\/tasks\/\S+) (.*)$/.exec(line) ?? [];
    const { id, exec_id, exit_status } = JSON.parse(json) as Record<string, unknown>;
    return [topic, id ?? exec_id, exit_status].filter((part) => part !== undefined);
  });
  t.strictSame(seen, [
    ['/tasks/create'],
    ['/tasks/start'],
    ['/tasks/exec-added', 'added'],
    ['/tasks/exec-started', 'added'],
    ['/tasks/exit', 'added', 3],
    ['/tasks/paused'],
    ['/tasks/resumed'],
    ['/tasks/exit', 'events', 137],
    ['/tasks/delete', 137],
  ]);
}

const LOGGER = `#!/bin/sh
{ echo "$CONTAINER_NAMESPACE $CONTAINER_ID $1=$2"; } >"$2"
exec 5>&-
cat <&3 >>"$2" & cat <&4 >>"$2.err" &
wait
`;

async function loggers(t: Test, containerd: Containerd): Promise<void> {
  const { inside } = containerd;
  const [file, log, logger] = ['file', 'log', 'logger'].map((name) => inside.fresh(name)) as [string, string, string];
  const script = 'echo one; echo two >&2; sleep 0.1; echo three';
  const run = async (id: string, uri: string): Promise<void> => {
    expectSuccess(t, await containerd.run(['--detach', '--log-uri', uri], id, script));
    await containerd.untilStatus(t, id, 'STOPPED');
    await containerd.output(t, ['task', 'delete', id]);
    await containerd.output(t, ['container', 'delete', id]);
  };
  const read = async (path: string): Promise<string> => (await inside.run(['cat', path])).stdout;
  await run('to-file', `file://${file}`);
  t.strictSame((await read(file)).split('\n').sort(), ['', 'one', 'three', 'two']);
  writeFileSync(logger, LOGGER);
  chmodSync(logger, 0o755);
  await run('to-logger', `binary://${logger}?file=${log}`);
  await waitFor(async () => (await read(log)).includes('three'), PATIENCE_MS);
  t.equal(await read(log), `default to-logger file=${log}\none\nthree\n`);
  t.equal(await read(`${log}.err`), 'two\n');
}

async function addedEnds(t: Test, containerd: Containerd): Promise<void> {
  await containerd.sleeper(t, 'owner');
  const added = containerd.inside.start(
    containerd.argv(['task', 'exec', '--exec-id', 'added', 'owner', 'sh', '-c', 'echo ready; exec sleep 1000']),
  );
  await waitFor(() => added.output() === 'ready\n', PATIENCE_MS);
  await containerd.ctr(['task', 'kill', '--signal', 'SIGKILL', 'owner']);
  t.equal((await added.done).code, 137, 'whoever waits for it is told');
  await containerd.remove(t, 'owner');
}

async function outlives(t: Test, containerd: Containerd): Promise<void> {
  await containerd.sleeper(t, 'lasting');
  const pid = await containerd.pid('lasting');
  await containerd.restart(t);
  t.equal(await containerd.status('lasting'), 'RUNNING');
  t.equal(await containerd.pid('lasting'), pid);
  const exec = await containerd.ctr(['task', 'exec', '--exec-id', 'later', 'lasting', 'sh', '-c', 'echo in; exit 4']);
  t.strictSame([exec.code, exec.stdout], [4, 'in\n']);
  t.match((await containerd.remove(t, 'lasting')).stderr, '137');
}

async function endsAlone(t: Test, containerd: Containerd): Promise<void> {
  const script = 'until [ -e /gate/open ]; do sleep 0.02; done; exit 9';
  const gate = containerd.inside.fresh('gate');
  await containerd.inside.run(['mkdir', gate]);
  const flags = ['--detach', '--null-io', '--mount', `type=bind,src=${gate},dst=/gate,options=rbind:rw`];
  expectSuccess(t, await containerd.run(flags, 'alone', script));
  const pid = await containerd.pid('alone');
  await containerd.restart(t, async () => {
    await containerd.inside.run(['touch', `${gate}/open`]);
    await waitFor(async () => !(await isAlive(containerd, pid)), PATIENCE_MS);
  });
  // containerd 2 takes a shim without a process for one that was forgotten, and ends it when it starts.
  const wanted = newerPrograms === undefined ? 'STOPPED' : '';
  await containerd.untilStatus(t, 'alone', wanted);
  if (wanted !== '') t.match((await containerd.ctr(['task', 'delete', 'alone'])).stderr, 'exit code 9');
  await containerd.output(t, ['container', 'delete', 'alone']);
}

async function killed(t: Test, containerd: Containerd): Promise<void> {
  for (const state of ['running', 'with a process', 'paused']) {
    // containerd may still be busy with the last one when it is in no list any more.
    const id = `orphan-${state.replaceAll(' ', '-')}`;
    await containerd.sleeper(t, id);
    const pid = await containerd.pid(id);
    if (state === 'paused') await containerd.output(t, ['task', 'pause', id]);
    if (state === 'with a process')
      await containerd.output(t, ['task', 'exec', '--detach', '--exec-id', 'e', id, 'sleep', '1001']);
    const shim = await parentOf(containerd, pid);
    await containerd.inside.run(['kill', '-KILL', `${shim}`]);
    await waitFor(async () => !(await isAlive(containerd, pid)), PATIENCE_MS).catch(() =>
      t.fail(`${state}: it is gone`),
    );
    await waitFor(async () => (await containerd.status(id)) === '', PATIENCE_MS);
    await containerd.output(t, ['container', 'delete', id]);
  }
}

async function pod(t: Test, containerd: Containerd): Promise<void> {
  const { inside } = containerd;
  const ids = ['pod-pause', 'pod-first', 'pod-second'];
  const annotation = 'io.kubernetes.cri.sandbox-id=pod-pause';
  for (const id of ids) await containerd.sleeper(t, id, ['--annotation', annotation]);
  const pids = await Promise.all(ids.map(async (id) => containerd.pid(id)));
  const shims = new Set(await Promise.all(pids.map(async (pid) => parentOf(containerd, pid))));
  t.equal(shims.size, 1, 'one shim for all');
  const [shim = 0] = shims;
  // One that is paused does not stop the others.
  await containerd.output(t, ['task', 'pause', 'pod-first']);
  const stuck = inside.start(containerd.argv(['task', 'exec', '--exec-id', 'x', 'pod-first', 'true']));
  const exec = await containerd.ctr(['task', 'exec', '--exec-id', 'y', 'pod-second', 'sh', '-c', 'exit 6']);
  t.equal(exec.code, 6);
  await containerd.output(t, ['task', 'resume', 'pod-first']);
  await stuck.done;
  for (const id of ['pod-first', 'pod-second']) await containerd.remove(t, id);
  t.ok(await isAlive(containerd, shim), 'it stays while it has a container');
  await containerd.remove(t, 'pod-pause');
  // One that serves all waits for the next, and ends below.
  if (containerd.runtime.environment !== undefined) return;
  await waitFor(async () => !(await isAlive(containerd, shim)), PATIENCE_MS).catch(() =>
    t.fail('it ends with the last'),
  );
}

const GARBAGE = `
const net = require('node:net');
const whole = require('node:crypto').randomBytes(100000);
let connected = 0;
(async () => {
  for (let i = 0; i < 300; i += 1) await new Promise((done) => {
    const socket = net.connect(process.argv[1], () => {
      connected += 1;
      socket.write(whole.subarray(i * 100, i * 100 + 1 + (i * 7919) % 5000), () => setTimeout(() => socket.destroy(), 2));
    });
    socket.on('close', done).on('error', done).resume();
  });
  process.exitCode = connected === 300 ? 0 : 1;
})();`;

async function garbage(t: Test, containerd: Containerd): Promise<void> {
  const { inside } = containerd;
  await containerd.sleeper(t, 'garbled');
  const { stdout } = await inside.run([
    'sh',
    '-c',
    // containerd 2 keeps what it was answered, and runc's shim leaves the other file to it.
    'cd /run/containerd-*/io.containerd.runtime.v2.task/default/garbled; cat bootstrap.json address 2>/dev/null; true',
  ]);
  const [, socket = ''] = /unix:\/\/([^"\s]+)/.exec(stdout) ?? [];
  expectSuccess(t, await inside.run([process.execPath, '-e', GARBAGE, socket]));
  const exec = await containerd.ctr(['task', 'exec', '--exec-id', 'y', 'garbled', 'sh', '-c', 'exit 6']);
  t.equal(exec.code, 6, 'it serves as before');
  const mode = await inside.run(['stat', '-c', '%a %U', socket]);
  t.match(mode.stdout, /^[67]00 root\n$/, 'nobody else can connect');
  await containerd.remove(t, 'garbled');
}

async function many(t: Test, containerd: Containerd): Promise<void> {
  for (let count = 0; count < 15; count += 1) {
    const { code, stdout } = await containerd.run(['--rm'], `row-${count}`, `echo ${count}; exit ${count}`);
    t.strictSame([code, stdout], [count, `${count}\n`]);
  }
  const ids = Array.from({ length: 10 }, (_, index) => `crowd-${index}`);
  const codes = await Promise.all(
    ids.map(async (id, code) => (await containerd.run(['--rm'], id, `exit ${code}`)).code),
  );
  t.strictSame(codes, [...ids.keys()]);
}

async function nothingLeft(t: Test, containerd: Containerd): Promise<void> {
  const { inside, runtime } = containerd;
  const lines = async (script: string): Promise<string> => (await inside.run(['sh', '-c', script])).stdout;
  t.equal(await containerd.output(t, ['container', 'list', '--quiet']), '');
  t.equal(await containerd.output(t, ['task', 'list', '--quiet']), '');
  await waitFor(async () => (await lines('ls /run/containerd/s')) === '' || runtime.isShim !== true, PATIENCE_MS);
  if (runtime.isShim === true) t.equal(await lines('ls /run/containerd/s'), '', 'no socket');
  t.equal(await lines(`ls ${runtime.isShim === true ? SHIM_ROOT : RUNTIME_ROOT}/default`), '', 'no state');
  t.equal(await lines(`ls /run/containerd-${runtime.name}/io.containerd.runtime.v2.task/default`), '', 'no bundle');
  t.equal(await lines("grep -E '/io.containerd.runtime.v2.task/' /proc/self/mountinfo"), '', 'no mount');
  t.equal(await lines("find /sys/fs/cgroup -mindepth 3 -type d -path '*/default/*'"), '', 'no cgroup');
  t.equal(
    await lines('grep -lE "(containerd-shim|tsrun:init|^sleep.100)" /proc/[0-9]*/comm 2>/dev/null'),
    '',
    'no process',
  );
}

async function parentOf({ inside }: Containerd, pid: number): Promise<number> {
  return Number((await inside.run(['sed', '-n', 's/^PPid:\\t//p', `/proc/${pid}/status`])).stdout);
}

async function isAlive({ inside }: Containerd, pid: number): Promise<boolean> {
  const { stdout } = await inside.run(['sed', '-n', 's/^State:\\t//p', `/proc/${pid}/status`]);
  return stdout !== '' && !/^[ZX]/.test(stdout);
}
