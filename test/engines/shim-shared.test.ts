import { writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { expectSuccess } from '../live/support/rig.ts';
import { tsrunFile } from '../live/support/surroundings.ts';
import { waitFor } from '../live/support/wait.ts';
import { CONTAINERD_TOOLS, SHIM_ROOT, withEachRuntime, type Containerd } from './support/containerd.ts';
import { sharedShim } from './support/runtimes.ts';
import { engines } from './support/surroundings.ts';

const PATIENCE_MS = 30_000;
const SOCKETS = '/run/containerd/s';
/** containerd deletes them all at once, with a patience of 5 s for as many engines, of which Node is the slow one. */
const KILLED = tsrunFile.endsWith('.js') ? 4 : 10;

engines('a shim for all containers of a namespace', { tools: CONTAINERD_TOOLS }, async (t, inside) => {
  await withEachRuntime(
    t,
    inside,
    async (t, containerd) => {
      for (const [name, test] of TESTS) await t.test(name, async (t) => test(t, containerd));
    },
    (inside) => [sharedShim(inside)],
  );
});

/** In this order: the first finds no shim, and the last looks for what the others have left. */
const TESTS: readonly (readonly [string, (t: Test, containerd: Containerd) => Promise<void>])[] = [
  ['containers that start at the same instant have one shim', atOnce],
  ['it lives in the surroundings of containerd', surroundings],
  ['the end of one container leaves the others', oneEnds],
  ['a namespace has a shim of its own', namespaces],
  ['the options of a container come before the environment', options],
  ['containers go on when containerd was started again', restarted],
  ['one that is stopped keeps no start waiting for ever', stopped],
  ['one that is killed is the end of its containers, and of no more', killed],
  ['it ends when it has had none for a while', ends],
];

async function atOnce(t: Test, containerd: Containerd): Promise<void> {
  const ids = Array.from({ length: 6 }, (_, index) => `instant-${index}`);
  await Promise.all(ids.map(async (id) => containerd.sleeper(t, id)));
  const shims = new Set(await Promise.all(ids.map(async (id) => shimOf(containerd, id))));
  t.equal(shims.size, 1);
  t.equal((await shimPids(containerd)).length, 1, 'nobody else stays');
  await Promise.all(ids.map(async (id) => containerd.remove(t, id)));
}

async function surroundings(t: Test, containerd: Containerd): Promise<void> {
  const { inside } = containerd;
  await containerd.sleeper(t, 'around');
  const shim = await shimOf(containerd, 'around');
  const daemon = Number((await inside.output(['pidof', '-s', 'containerd'])).trim());
  for (const file of ['cgroup', 'limits', 'oom_score_adj', 'mountinfo'])
    t.equal(await read(containerd, `/proc/${shim}/${file}`), await read(containerd, `/proc/${daemon}/${file}`), file);
  t.equal((await inside.output(['readlink', `/proc/${shim}/cwd`])).trim(), '/');
  const held = await inside.output(['sh', '-c', `ls -l /proc/${shim}/fd`]);
  t.notMatch(held, 'io.containerd.runtime.v2.task', 'it holds nothing in a bundle');
  const doors = (await inside.output(['ls', SOCKETS])).trim().split('\n');
  t.equal(doors.length, 2);
  for (const door of doors)
    t.equal((await inside.output(['stat', '-c', '%a %U', `${SOCKETS}/${door}`])).trim(), '600 root');
  await containerd.remove(t, 'around');
}

async function oneEnds(t: Test, containerd: Containerd): Promise<void> {
  await containerd.sleeper(t, 'stays');
  const [pid, shim] = [await containerd.pid('stays'), await shimOf(containerd, 'stays')];
  for (const code of [0, 3]) t.equal((await containerd.run(['--rm'], `goes-${code}`, `exit ${code}`)).code, code);
  await containerd.sleeper(t, 'goes');
  t.equal(await shimOf(containerd, 'goes'), shim, 'it is the same');
  await containerd.remove(t, 'goes');
  const failed = await containerd.run(['--rm'], 'fails', ['/no/such/program']);
  t.match(failed.stderr, 'no such file or directory');
  t.equal(await containerd.status('stays'), 'RUNNING');
  t.equal(await containerd.pid('stays'), pid);
  expectSuccess(t, await containerd.run(['--rm'], 'fails', ['true']), 'the id of one that was not made');
  await containerd.remove(t, 'stays');
}

async function namespaces(t: Test, containerd: Containerd): Promise<void> {
  const other = async (...args: readonly string[]) => containerd.output(t, ['--namespace', 'other', ...args]);
  await other('images', 'import', containerd.inside.path('image.tar'));
  await containerd.sleeper(t, 'same');
  await other(...containerd.runArgs(['--detach', '--null-io'], 'same', ['sleep', '1000']));
  const shims = await shimPids(containerd);
  t.equal(shims.length, 2);
  const own = await shimOf(containerd, 'same');
  t.ok(shims.includes(own));
  for (const shim of shims) if (shim !== own) await containerd.inside.run(['kill', '-KILL', `${shim}`]);
  await waitFor(async () => !(await other('task', 'list')).includes('same'), PATIENCE_MS);
  await other('container', 'delete', 'same');
  t.equal(await containerd.status('same'), 'RUNNING', 'the end of one is none of the other');
  await containerd.remove(t, 'same');
}

async function options(t: Test, containerd: Containerd): Promise<void> {
  const file = containerd.inside.fresh('options.json');
  const flags = ['--runtime-config-path', file];
  await containerd.sleeper(t, 'shared');
  writeFileSync(file, '{ "Shared": false }');
  await containerd.sleeper(t, 'apart', flags);
  writeFileSync(file, '{ "Shared": true, "Root": "/run/elsewhere" }');
  await containerd.sleeper(t, 'elsewhere', flags);
  const [shared, apart, elsewhere] = await Promise.all(
    ['shared', 'apart', 'elsewhere'].map(async (id) => shimOf(containerd, id)),
  );
  t.not(apart, shared);
  t.equal(elsewhere, shared, 'with other options');
  t.match(await containerd.inside.output(['ls', '/run/elsewhere/default']), 'elsewhere');
  writeFileSync(file, '{ "Shared": 1 }');
  t.match((await containerd.run(['--rm', ...flags], 'wrong', ['true'])).stderr, 'option "Shared" is no boolean');
  for (const id of ['apart', 'elsewhere', 'shared']) await containerd.remove(t, id);
}

async function restarted(t: Test, containerd: Containerd): Promise<void> {
  const ids = ['lasting-0', 'lasting-1', 'lasting-2'];
  for (const id of ids) await containerd.sleeper(t, id);
  const shim = await shimOf(containerd, 'lasting-0');
  await containerd.restart(t);
  for (const id of ids) t.equal(await containerd.status(id), 'RUNNING');
  await containerd.sleeper(t, 'later');
  t.equal(await shimOf(containerd, 'later'), shim);
  for (const id of [...ids, 'later']) t.match((await containerd.remove(t, id)).stderr, '137');
}

async function stopped(t: Test, containerd: Containerd): Promise<void> {
  await containerd.sleeper(t, 'waiting');
  const shim = await shimOf(containerd, 'waiting');
  await containerd.inside.run(['kill', '-STOP', `${shim}`]);
  const failed = await containerd.run(['--rm'], 'late', ['true']);
  t.not(failed.code, 0);
  t.match(failed.stderr, 'no answer within');
  await containerd.inside.run(['kill', '-CONT', `${shim}`]);
  expectSuccess(t, await containerd.run(['--rm'], 'late', ['true']));
  t.equal(await shimOf(containerd, 'waiting'), shim);
  await containerd.remove(t, 'waiting');
}

async function killed(t: Test, containerd: Containerd): Promise<void> {
  const { inside } = containerd;
  const ids = Array.from({ length: KILLED }, (_, index) => `orphan-${index}`);
  for (const id of ids) await containerd.sleeper(t, id);
  await containerd.output(t, ['task', 'pause', 'orphan-2']);
  await containerd.output(t, ['task', 'exec', '--detach', '--exec-id', 'e', 'orphan-3', 'sleep', '1001']);
  const pidFile = inside.fresh('events.pid');
  const watching = inside.start(['sh', '-c', 'echo $$ >"$0"; exec "$@"', pidFile, ...containerd.argv(['events'])]);
  await waitFor(async () => {
    await containerd.output(t, ['containers', 'label', 'orphan-0', 'watched=yes']);
    return watching.output().includes('/containers/update');
  }, PATIENCE_MS);
  const shim = await shimOf(containerd, 'orphan-0');
  await inside.run(['kill', '-KILL', `${shim}`]);
  await waitFor(async () => (await containerd.output(t, ['task', 'list', '--quiet'])) === '', PATIENCE_MS);
  const exits = (): string[] => {
    const lines = watching
      .output()
      .split('\n')
      .filter((line) => line.includes('/tasks/exit'));
    return lines.map((line) => /"container_id":"([^"]*)"/.exec(line)?.[1] ?? '').sort();
  };
  await waitFor(() => exits().length >= ids.length, PATIENCE_MS);
  t.strictSame(exits(), ids, 'an exit of each');
  await inside.run(['sh', '-c', 'kill "$(cat "$0")"', pidFile]);
  await watching.done;
  await nothingLeft(t, containerd);
  for (const id of ids) await containerd.output(t, ['container', 'delete', id]);
  await containerd.sleeper(t, 'orphan-0');
  t.not(await shimOf(containerd, 'orphan-0'), shim, 'the next has another shim');
  await containerd.remove(t, 'orphan-0');
}

async function ends(t: Test, containerd: Containerd): Promise<void> {
  await waitFor(async () => (await shimPids(containerd)).length === 0, PATIENCE_MS);
  await nothingLeft(t, containerd);
  expectSuccess(t, await containerd.run(['--rm'], 'again', ['true']));
}

async function nothingLeft(t: Test, containerd: Containerd): Promise<void> {
  const lines = async (script: string): Promise<string> => (await containerd.inside.run(['sh', '-c', script])).stdout;
  t.strictSame(await shimPids(containerd), [], 'no shim');
  t.equal(await lines(`ls ${SOCKETS}`), '', 'no socket');
  t.equal(await lines(`ls ${SHIM_ROOT}/default`), '', 'no state');
  t.equal(
    await lines('ls /run/containerd-*/io.containerd.runtime.v2.task/default'),
    '',
    'no bundle, and no FIFO in one',
  );
  t.equal(await lines("grep -E '/io.containerd.runtime.v2.task/' /proc/self/mountinfo"), '', 'no mount');
  t.equal(await lines("find /sys/fs/cgroup -mindepth 3 -type d -path '*/default/*'"), '', 'no cgroup');
  t.equal(await lines('grep -l tsrun:init /proc/[0-9]*/comm 2>/dev/null'), '', 'no init');
  t.equal(
    await lines("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o 'slee[p] 100.'"),
    '',
    'no process',
  );
}

async function read({ inside }: Containerd, file: string): Promise<string> {
  return inside.output(['cat', file]);
}

/** Every shim that lives. */
async function shimPids({ inside }: Containerd): Promise<number[]> {
  const script = 'cd /proc; for pid in [0-9]*; do read name <$pid/comm && echo "$pid $name"; done 2>/dev/null';
  const lines = (await inside.output(['sh', '-c', `${script}; true`])).split('\n');
  return lines.flatMap((line) => (line.endsWith(' containerd-shim') ? [Number.parseInt(line)] : []));
}

async function shimOf(containerd: Containerd, id: string): Promise<number> {
  const pid = await containerd.pid(id);
  return Number((await containerd.inside.run(['sed', '-n', 's/^PPid:\\t//p', `/proc/${pid}/status`])).stdout);
}
