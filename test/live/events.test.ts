import { existsSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { cgroupsOf, isUnified } from './support/cgroups.ts';
import { expectFailure, expectSuccess, live } from './support/rig.ts';
import { needsRoot } from './support/surroundings.ts';
import { waitFor } from './support/wait.ts';

interface Event {
  readonly type: string;
  readonly id: string;
  readonly data?: Record<string, unknown>;
}

/** Events of whole lines; the last one may be in the making. */
function eventsIn(text: string): Event[] {
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Event);
}

/** Every path through a document, such as `cpu.usage.total`. */
function pathsOf(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [path];
  return Object.entries(value).flatMap(([key, member]) => pathsOf(member, path === '' ? key : `${path}.${key}`));
}

/**
 * Members that are left out when they are 0; hugetlb, which runc does not look for on the cgroup2 mount of a hybrid machine; and
 * the pressure on cgroup v2, which runc tells since version 1.2.
 */
const VARIABLE = /^(\w+\.psi\..*|memory\.cache|hugetlb.*|blkio.*|memory\.\w+\.(usage|max)|cpu\.throttling.*)$/;

function stablePaths(data: unknown): string[] {
  const paths = pathsOf(data).filter((path) => !VARIABLE.test(path));
  return paths.sort();
}

live('events', async (t, rig) => {
  const stream = (id: string, interval: string) =>
    rig.startTsrun(['events', `--interval=${interval}`, id], { timeoutMs: 60_000 });
  const stop = async (t: Test, id: string): Promise<void> => {
    expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
  };

  await t.test('statistics have the shape of those of runc', async (t) => {
    const { id } = await rig.sleeper(t, { change: (config) => (config.linux.resources = { pids: { limit: 20 } }) });
    const ours = await rig.tsrun(['events', '--stats', id]);
    expectSuccess(t, ours, 'events');
    const [event] = eventsIn(ours.stdout);
    const data = { pids: { current: 1, limit: 20 }, intel_rdt: {}, network_interfaces: null };
    t.match(event, { type: 'stats', id, data });
    const root = rig.fresh('runc');
    mkdirSync(root);
    const other = rig.id('runc');
    const runc = async (...args: string[]) => rig.start(['runc', '--root', root, ...args]).done;
    try {
      expectSuccess(t, await runc('run', '--detach', '--bundle', rig.latestBundle(), other), 'runc run');
      const [theirs] = eventsIn((await runc('events', '--stats', other)).stdout);
      t.strictSame(stablePaths(event?.data), stablePaths(theirs?.data), 'the same members');
      t.strictSame(Object.keys(event ?? {}), Object.keys(theirs ?? {}));
    } finally {
      await runc('delete', '--force', other);
      rmSync(root, { recursive: true, force: true });
    }
    await rig.delete(t, id);
  });

  await t.test('processes that had to wait are told', async (t) => {
    const cpu = { quota: 10_000, period: 100_000 };
    const { id, pid } = await rig.sleeper(t, {
      args: 'while :; do :; done & while :; do :; done',
      change: (config) => (config.linux.resources = { cpu }),
    });
    const directory = cgroupsOf(pid).get('unified') ?? '/nowhere';
    const counts = existsSync(path.join(directory, 'cpu.pressure'));
    interface Statistics {
      readonly cpu: { readonly psi?: { readonly some: { readonly total: number } } };
    }
    const read = async (): Promise<Statistics> => {
      const [event] = eventsIn((await rig.tsrun(['events', '--stats', id])).stdout);
      return event?.data as unknown as Statistics;
    };
    // The statistics of the cgroup2 directory of a hybrid machine are not those of the limits.
    if (isUnified && counts) {
      await waitFor(async () => ((await read()).cpu.psi?.some.total ?? 0) > 0, 20_000);
      const { some } = (await read()).cpu.psi ?? {};
      t.match(some, { avg10: Number, avg60: Number, avg300: Number, total: Number });
      for (const resource of ['memory', 'blkio']) t.match(await read(), { [resource]: { psi: Object } });
    } else t.notOk('psi' in (await read()).cpu, 'nobody counts');
    await rig.delete(t, id);
  });

  await t.test('statistics come at every interval until the container ends', async (t) => {
    const { id } = await rig.sleeper(t);
    const running = stream(id, '100ms');
    await waitFor(() => eventsIn(running.output()).length >= 3, 20_000);
    await stop(t, id);
    const result = await running.done;
    expectSuccess(t, result, 'the stream ends');
    t.ok(eventsIn(result.stdout).every((event) => event.type === 'stats' && event.id === id));
    await rig.delete(t, id);
  });

  await t.test('want of memory is told', async (t) => {
    const limit = 24 * 1024 * 1024;
    const { id } = await rig.sleeper(t, {
      change: (config) => (config.linux.resources = { memory: { limit, swap: limit } }),
    });
    const running = stream(id, '200ms');
    // The watch is in place before the first statistics.
    await waitFor(() => eventsIn(running.output()).length >= 1, 20_000);
    await rig.tsrun(['exec', id, '/bin/sh', '-c', 'head -c 60000000 /dev/zero | tail -c 59000000 | wc -c']);
    await waitFor(() => eventsIn(running.output()).some(({ type }) => type === 'oom'), 20_000);
    const event = eventsIn(running.output()).find(({ type }) => type === 'oom');
    t.strictSame(event, { type: 'oom', id });
    await stop(t, id);
    expectSuccess(t, await running.done, 'the stream ends');
    await rig.delete(t, id);
  });

  await t.test('the removal of a container is no want of memory', async (t) => {
    const { id } = await rig.sleeper(t);
    const running = stream(id, '150ms');
    await waitFor(() => eventsIn(running.output()).length >= 1, 20_000);
    await rig.delete(t, id);
    const result = await running.done;
    expectSuccess(t, result);
    t.notOk(eventsIn(result.stdout).some(({ type }) => type === 'oom'));
  });

  await t.test('a reader that goes away ends the stream', async (t) => {
    const { id } = await rig.sleeper(t);
    const argv = rig.tsrunArgv(['events', '--interval', '50ms', id]);
    const piped = rig.start(['/bin/sh', '-c', '"$@" | head -n 2', 'sh', ...argv], { timeoutMs: 60_000 });
    const result = await piped.done;
    expectSuccess(t, result);
    t.equal(eventsIn(result.stdout).length, 2);
    await rig.delete(t, id);
  });

  await t.test('what cannot be watched is refused', async (t) => {
    const { id } = await rig.sleeper(t);
    const rows: [args: string[], message: RegExp][] = [
      [['--interval', '0s', id], /duration interval must be greater than 0/],
      [['--interval', '5', id], /invalid value .*wanted a duration/],
      [[rig.id('none')], /does not exist/],
    ];
    for (const [args, message] of rows) expectFailure(t, await rig.tsrun(['events', ...args]), { message });
    await stop(t, id);
    await rig.waitForStatus(id, 'stopped');
    for (const flags of [['--stats'], []]) {
      const result = await rig.tsrun(['events', ...flags, id]);
      expectFailure(t, result, { message: `container with id ${id} is not running` });
    }
    await rig.delete(t, id);
  });

  const noNetwork = needsRoot('the config of an ordinary user has no network namespace');
  await t.test('the interfaces of the container are counted', { skip: noNetwork }, async (t) => {
    const { id, pid } = await rig.sleeper(t);
    const link = 'link add tst0 type veth peer name tst1'.split(' ');
    const add = await rig.start(['nsenter', `--net=/proc/${pid}/ns/net`, 'ip', ...link]).done;
    expectSuccess(t, add, 'ip link add');
    const [event] = eventsIn((await rig.tsrun(['events', '--stats', id])).stdout);
    const interfaces = event?.data?.['network_interfaces'] as { Name: string }[];
    t.strictSame(interfaces.map(({ Name }) => Name).sort(), ['tst0', 'tst1']);
    t.match(interfaces[0], { RxBytes: Number, TxDropped: Number });
    await rig.delete(t, id);
  });

  await t.test('an init that is killed for want of memory is told apart', async (t) => {
    // Every mount costs the kernel memory that the container's cgroup pays for: so many need some megabytes, set-up without them some hundred kilobytes.
    const limit = 1024 * 1024;
    const mounts = Array.from({ length: 1000 }, (_, index) => ({
      destination: `/many/${String(index)}`,
      type: 'tmpfs',
      source: 'tmpfs',
    }));
    const bundle = rig.bundle({
      change: (config) => {
        config.linux.resources = { memory: { limit, swap: limit } };
        config.mounts.push(...mounts);
      },
    });
    const result = await rig.tsrun(['create', '--bundle', bundle, rig.id('small')]);
    expectFailure(t, result, { message: 'container init was OOM-killed (memory limit too low?)' });
  });
});
