import { expectSuccess, live, type BaseConfig } from './support/rig.ts';
import { waitForState } from './support/wait.ts';

const LIMIT = 24 * 1024 * 1024;
/** Takes more than the limit, in the place of the shell, so that it is the program that is killed. */
const GREEDY = 'exec tail -c 500000000 /dev/zero';

function limited(config: BaseConfig): void {
  config.linux.resources = { memory: { limit: LIMIT, swap: LIMIT } };
}

live('a program that was killed for want of memory is told of', async (t, rig) => {
  await t.test('run, with the limit and where it is set', async (t) => {
    const bundle = rig.bundle({ args: GREEDY, change: limited });
    const id = rig.id();
    const result = await rig.tsrun(['run', '--bundle', bundle, id]);
    t.equal(result.code, 137);
    const lines = result.stderr.replaceAll('\\"', '"').trim().split('\n');
    t.equal(lines.length, 1, 'one line', { stderr: result.stderr });
    const said = `"${id}" was killed for want of memory: its limit of 24 MiB was reached (/linux/resources/memory/limit of config.json)`;
    t.ok(lines[0]?.includes(said), said, { stderr: result.stderr });
    t.match(lines[0], 'tsrun update --memory');
  });

  await t.test('exec, with the limit that update has set', async (t) => {
    const { id } = await rig.sleeper(t, { change: limited });
    const size = String(LIMIT / 2);
    expectSuccess(t, await rig.tsrun(['update', '--memory', size, '--memory-swap', size, id]));
    const result = await rig.tsrun(['exec', id, '/bin/sh', '-c', GREEDY]);
    t.equal(result.code, 137);
    t.match(result.stderr, 'its limit of 12 MiB was reached');
    const killed = await rig.tsrun(['exec', id, '/bin/sh', '-c', 'kill -9 $$']);
    t.match(killed, { code: 137, stderr: '' }, 'what was killed before counts for nobody else');
    await rig.delete(t, id);
  });

  await t.test('not where somebody has killed it', async (t) => {
    const result = await rig.run({ args: 'kill -9 $$', change: limited });
    t.equal(result.stderr, '');
    const bundle = rig.bundle({ args: ['sleep', '1000'], change: limited });
    const id = rig.id();
    const running = rig.startTsrun(['run', '--bundle', bundle, id]);
    await waitForState(rig, id, 'running');
    expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']));
    t.match(await running.done, { code: 137, stderr: '' });
  });
});
