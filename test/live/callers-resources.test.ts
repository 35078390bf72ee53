import { writeFileSync } from 'node:fs';
import { expectSuccess, live } from './support/rig.ts';

live('resources, processes and figures as callers ask for them', async (t, rig) => {
  const { id, pid } = await rig.sleeper(t);

  await t.test(
    'containerd: update --resources - ID, docker 28: --resources=- ID, podman: --resources=FILE ID',
    async (t) => {
      const limit = (pids: number): string => JSON.stringify({ pids: { limit: pids } });
      const file = rig.fresh('resources');
      writeFileSync(file, limit(42));
      expectSuccess(t, await rig.tsrun(['update', '--resources', '-', id], { stdin: limit(40) }));
      expectSuccess(t, await rig.tsrun(['update', '--resources=-', id], { stdin: limit(41) }));
      expectSuccess(t, await rig.tsrun(['update', `--resources=${file}`, id]));
      t.match(await rig.tsrun(['update', '--resources', '-', id], { stdin: '{' }), { code: 1 });
    },
  );

  await t.test('containerd: ps --format json ID', async (t) => {
    const { stdout, code } = await rig.tsrun(['ps', '--format', 'json', id]);
    t.equal(code, 0);
    t.strictSame(JSON.parse(stdout), [pid]);
  });

  await t.test('go-runc: events --stats ID, events --interval=1s ID', async (t) => {
    const { stdout, code } = await rig.tsrun(['events', '--stats', id]);
    t.equal(code, 0);
    t.match(JSON.parse(stdout), { type: 'stats', id, data: { pids: { current: 1 } } });
    const stream = rig.startTsrun(['events', '--interval=1s', id]);
    expectSuccess(t, await rig.tsrun(['kill', id, '9']));
    t.equal((await stream.done).timedOut, false, 'the stream ends with the container');
  });

  await t.test('what has stopped', async (t) => {
    await rig.waitForStatus(id, 'stopped');
    const update = await rig.tsrun(['update', '--resources', '-', id], { stdin: '{"pids":{"limit":5}}' });
    t.match(update, { code: 1, stderr: /container not running/ });
    const events = await rig.tsrun(['events', '--stats', id]);
    t.ok(events.stderr.includes(`container with id ${id} is not running`), events.stderr);
    t.equal(events.code, 1);
  });
  await rig.delete(t, id);
});
