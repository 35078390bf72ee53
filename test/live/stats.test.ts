import type { Test } from 'tap';
import { expectFailure, expectSuccess, live } from './support/rig.ts';
import { waitFor } from './support/wait.ts';

interface Usage {
  readonly id: string;
  readonly cpuPercent: number;
  readonly memory: number;
  readonly memoryLimit: number;
  readonly pids: number;
  readonly pidsLimit: number;
}

live('stats', async (t, rig) => {
  const once = async (t: Test, ...args: readonly string[]): Promise<Usage[]> => {
    const result = await rig.tsrun(['stats', '--no-stream', '--interval', '300ms', '--format', 'json', ...args]);
    expectSuccess(t, result, 'stats');
    const lines = result.stdout.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Usage);
  };

  await t.test('one that works is told from one that sleeps', async (t) => {
    const limit = 64 * 1024 * 1024;
    const busy = await rig.sleeper(t, {
      args: 'while :; do :; done',
      change: (config) => (config.linux.resources = { pids: { limit: 20 }, memory: { limit } }),
    });
    const idle = await rig.sleeper(t);
    const all = await once(t);
    const [ofBusy, ofIdle] = [busy, idle].map(({ id }) => all.find((one) => one.id === id));
    t.equal(all.length, 2, 'all that run');
    t.match(ofBusy, { pids: 1, pidsLimit: 20, memoryLimit: limit });
    t.ok((ofBusy?.cpuPercent ?? 0) > 5, `${ofBusy?.cpuPercent ?? 0} % of a processor`);
    t.ok((ofIdle?.cpuPercent ?? 100) < 5);
    t.ok((ofIdle?.memoryLimit ?? 0) > limit, 'the memory of the host is the limit of those that have none');
    t.ok((ofBusy?.memory ?? 0) > 0);
    expectSuccess(t, await rig.tsrun(['pause', busy.id]), 'pause');
    t.strictSame(
      (await once(t, busy.id)).map(({ id, cpuPercent }) => ({ id, cpuPercent: Math.round(cpuPercent) })),
      [{ id: busy.id, cpuPercent: 0 }],
      'a paused one has nothing to do',
    );
    await rig.delete(t, busy.id, idle.id);
  });

  await t.test('the table has a line for each, and goes on until none of them is left', async (t) => {
    const { id } = await rig.sleeper(t);
    const created = await rig.create(t);
    const running = rig.startTsrun(['stats', '--interval', '100ms', id, created.id], { timeoutMs: 60_000 });
    const linesOf = (id: string): number => running.output().split(`${id} `).length - 1;
    await waitFor(() => linesOf(id) >= 3 && linesOf(created.id) >= 3, 20_000);
    t.match(running.output(), /^ID +CPU % +MEMORY \/ LIMIT +MEM % +PIDS +NET IN \/ OUT +BLOCK READ \/ WRITTEN\n/);
    t.notMatch(running.output(), /\u001b/, 'what is no terminal gets no control sequences');
    await rig.delete(t, created.id);
    const before = linesOf(id);
    await waitFor(() => linesOf(id) > before + 1, 20_000);
    await rig.delete(t, id);
    expectSuccess(t, await running.done, 'it ends with the last');
  });

  await t.test('what does not run is refused by name, and left out among all', async (t) => {
    const { id } = await rig.sleeper(t);
    expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
    await rig.waitForStatus(id, 'stopped');
    expectFailure(t, await rig.tsrun(['stats', '--no-stream', id]), {
      message: `container with id ${id} is not running`,
    });
    expectFailure(t, await rig.tsrun(['stats', '--no-stream', rig.id('none')]), { message: 'does not exist' });
    expectFailure(t, await rig.tsrun(['stats', '--interval', '0s']), { message: 'must be greater than 0' });
    t.strictSame(await once(t), []);
    await rig.delete(t, id);
  });
});
