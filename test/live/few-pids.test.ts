import { hasController, withEmptyCgroups } from './support/cgroups.ts';
import { expectSuccess, live } from './support/rig.ts';
import { needsRoot, tsrunFile } from './support/surroundings.ts';

live('a caller that may have few processes', async (t, rig) => {
  const onNode = tsrunFile.endsWith('.js')
    ? 'Node starts threads before it runs anything, and aborts or waits without'
    : false;
  const skip = hasController('pids') ? needsRoot('limits its own cgroup') || onNode : 'there is no pids controller';
  await t.test('gets a container or a message, and never waits for ever', { skip }, async (t) => {
    // Long enough that it is waited for.
    const bundle = rig.bundle({ args: 'sleep 0.1; echo ran' });
    await withEmptyCgroups(`few-pids-of-${process.pid}`, ['pids'], async ([group = '']) => {
      for (let limit = 4; limit <= 12; limit++) {
        const enter = `echo ${limit} > ${group}/pids.max && echo $$ > ${group}/cgroup.procs && exec "$@"`;
        const under = ['/bin/sh', '-c', enter, 'sh'];
        const id = rig.id('few');
        const run = await rig.tsrun(['run', '--bundle', bundle, id], { under });
        t.notOk(run.timedOut, `run with ${limit} processes ends`);
        if (run.code === 0) t.equal(run.stdout, 'ran\n', `run with ${limit} processes`);
        else t.match(run.stderr, /level=error msg="/, `run with ${limit} processes says why not`);
        const listed = await rig.tsrun(['list', '--quiet'], { under });
        t.notOk(listed.timedOut, `list with ${limit} processes ends`);
        if (listed.code !== 0) t.match(listed.stderr, /level=error msg="/, `list with ${limit} processes says why not`);
        expectSuccess(t, await rig.tsrun(['delete', '--force', id]), 'delete');
        t.strictSame(rig.leftovers(), [], `nothing is left of ${limit}`);
      }
    });
  });
});
