import type { Test } from 'tap';
import { setNamespace } from './support/namespaces.ts';
import { bundle, compare, done, useRig, withSleeper, type Call } from './support/planner-scenes.ts';
import { TestPlanner } from './support/planner.ts';
import { livePlanners } from './support/rig.ts';

/** From the third time on a planner knows the plan of a bundle, whatever the id. */
async function again(call: Call, id: string, place: string): Promise<unknown> {
  const seen = [];
  for (const letter of 'abcde') seen.push(await done(call(['run', '--bundle', place, `${id}-${letter}`])));
  return seen;
}

livePlanners('a bundle that comes again, for other ids', async (t, rig) => {
  useRig(rig);
  const planner = await TestPlanner.start(rig.path('planner.err'));
  const played = async (t: Test, place: string): Promise<void> => {
    const { warm, lost } = await compare(t, planner, (call, id) => again(call, id, place));
    t.strictSame({ warm, lost }, { warm: 5, lost: 0 });
    t.strictSame(rig.leftovers(), [], 'nothing is left');
  };
  await t.test('each in the cgroup of its own id', (t) => played(t, bundle('cat /proc/self/cgroup; exit 4')));
  await t.test('whose mount fails each time', (t) =>
    played(
      t,
      bundle('true', (config) => {
        setNamespace(config, 'mount');
        config.mounts.push({ destination: '/mnt', type: 'tmpfs', source: 'tmpfs', options: ['sise=3'] });
      }),
    ),
  );
  await t.test('whose program is missing each time', (t) => played(t, bundle(['/no/such'])));
  await t.test('that is not the same any more', async (t) => {
    const { warm } = await compare(t, planner, async (call, id) => {
      const seen = [];
      for (const word of ['one', 'two', 'three']) {
        const place = bundle(`echo ${word}; cat /proc/self/cgroup`);
        seen.push(await again(call, id, place));
      }
      return seen;
    });
    t.equal(warm, 15);
  });
  await t.test('a program that is executed again and again', async (t) => {
    const scene = withSleeper(async (call, id) => {
      const seen = [];
      for (const words of [['sh', '-c', 'cat /proc/self/cgroup; exit 3'], ['/no/such'], ['--cwd', '/no/such', id]]) {
        const args = words.includes(id) ? ['exec', ...words, 'true'] : ['exec', id, ...words];
        for (let i = 0; i < 4; i++) seen.push(await done(call(args)));
      }
      return seen;
    });
    const { warm } = await compare(t, planner, scene);
    t.equal(warm, 15, 'with those that make the container and remove it');
  });
  await planner.finish(t);
});
