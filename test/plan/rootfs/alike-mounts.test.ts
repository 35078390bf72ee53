import t from 'tap';
import { countAlike } from '../../../src/plan/rootfs/alike-mounts.ts';
import { planMounts } from '../../../src/plan/rootfs/mounts.ts';
import { planCgroup } from '../../../src/plan/cgroup/plan.ts';
import { call } from '../../../src/program/build.ts';
import { programOf } from '../../../src/program/series.ts';
import type { Mount } from '../../../src/spec/generated/config.ts';
import { differences } from '../../program/series-bytes.ts';
import { makeContext, makeHost } from '../fixtures.ts';

const cgroup = planCgroup({ config: {}, layout: makeHost().cgroup, id: 'c1', manager: 'cgroupfs' });

function tmpfs(destination: string, changes: Partial<Mount> = {}): Mount {
  return { destination, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'size=4k'], ...changes };
}

t.test('countAlike() counts tmpfs that differ in their destinations alone', (t) => {
  const first = [tmpfs('/a/1'), tmpfs('/a/./2/'), tmpfs('/b/3')];
  const others = [
    tmpfs('/c'),
    tmpfs('/c/d/e'),
    tmpfs('/a/4', { source: 'other' }),
    tmpfs('/a/4', { options: ['nosuid'] }),
    tmpfs('/a/4', { type: 'ramfs' }),
    tmpfs('/a/\ue000'),
    tmpfs('/a/dangling'),
  ];
  const context = makeContext({ bundle: { danglingLinks: { '/a/dangling': '/x' } } });
  t.equal(countAlike(context, first, 0), 3);
  t.equal(countAlike(context, first, 1), 2);
  for (const other of others) t.equal(countAlike(context, [...first, other, ...first], 0), 3, JSON.stringify(other));
  const alone = [['ro'], ['tmpcopyup'], ['bind']].map((options) => tmpfs('/a/1', { options }));
  alone.push(tmpfs('/'), tmpfs('/a/1', { source: '\ue001' }), { destination: '/a/1', type: 'proc' });
  for (const one of alone) t.equal(countAlike(context, [one, one], 0), 1, JSON.stringify(one));
  t.end();
});

t.test('planMounts() has a series of many tmpfs, which is the steps of each', (t) => {
  for (const options of [['mode=0755'], ['nosuid', 'size=4k'], ['rprivate', 'src-nofollow']]) {
    const many = Array.from({ length: 150 }, (_, index) => tmpfs(`/mnt/of/${index}`, { options }));
    const mounts = [{ destination: '/proc', type: 'proc' }, ...many, { destination: '/q', type: 'mqueue' }];
    const { stages } = planMounts(makeContext({ config: { mounts } }), cgroup, new Map());
    const parts = stages.flatMap(({ steps }) => steps);
    t.match(
      parts.filter(({ kind }) => kind === 'series'),
      [{ count: 150 }],
    );
    const program = programOf({ name: '', replies: false }, [...parts, call('getpid', [], { label: 'end' })]);
    t.strictSame(differences(program, 'x86-64'), []);
    const pointers = program.steps.flatMap(({ pointer }) => /^\/mounts\/(\d+)/.exec(pointer ?? '')?.[1] ?? []);
    t.strictSame(
      [...new Set(pointers)].map(Number),
      mounts.map((_, index) => index),
    );
  }
  t.end();
});
