import t from 'tap';
import { planCgroup, type CgroupPlan } from '../../../src/plan/cgroup/plan.ts';
import { printCgroupPlan } from '../../../src/plan/cgroup/print.ts';
import type { Config } from '../../../src/spec/generated/config.ts';
import { LAYOUTS } from './fixtures.ts';

const MOUNT = { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['nosuid', 'relatime'] };

interface Change {
  readonly layout?: keyof typeof LAYOUTS;
  readonly uid?: number;
  readonly process?: false;
  readonly mount?: Partial<typeof MOUNT>;
  readonly namespace?: { readonly path: string } | false;
  readonly uidMappings?: { containerID: number; hostID: number; size: number }[];
  readonly rootless?: true;
}

function plan({ layout = 'v2', uid = 7, process, mount, namespace, uidMappings, rootless }: Change): CgroupPlan {
  const config: Pick<Config, 'process' | 'mounts' | 'linux'> = {
    ...(process === false ? {} : { process: { cwd: '/', args: ['true'], user: { uid, gid: 0 } } }),
    mounts: [{ ...MOUNT, ...mount }],
    linux: {
      namespaces: namespace === false ? [] : [{ type: 'cgroup', ...namespace }],
      ...(uidMappings === undefined ? {} : { uidMappings }),
    },
  };
  return planCgroup({ config, layout: LAYOUTS[layout], id: 'c1', manager: 'cgroupfs', rootless: rootless ?? false });
}

const MAPPINGS = [
  { containerID: 0, hostID: 1000, size: 1 },
  { containerID: 1, hostID: 100_000, size: 10 },
];

const GIVEN: Readonly<Record<string, readonly [Change, number]>> = {
  'to the user of the process': [{}, 7],
  'to its host uid': [{ uidMappings: MAPPINGS }, 100_006],
  'to the host uid of root': [{ uid: 0, uidMappings: MAPPINGS }, 1000],
  'with a path that means the same': [{ mount: { destination: '//sys/fs//cgroup/' } }, 7],
  'with a mount of cgroup2': [{ mount: { type: 'cgroup2' } }, 7],
  'when rw has the last word': [{ mount: { options: ['ro', 'rw'] } }, 7],
};

for (const [name, [change, uid]] of Object.entries(GIVEN)) {
  t.test(`planCgroupOwner() gives the cgroup away ${name}`, (t) => {
    t.strictSame(plan(change).owner, { directory: 0, uid, optional: false });
    t.match(printCgroupPlan(plan(change)), `give "/sys/fs/cgroup/user.slice/c1" to uid ${uid}\n`);
    t.end();
  });
}

const KEPT: Readonly<Record<string, Change>> = {
  'on cgroup v1': { layout: 'v1' },
  'on a hybrid machine': { layout: 'hybrid' },
  'without a process': { process: false },
  'without a cgroup namespace': { namespace: false },
  'in the cgroup namespace of others': { namespace: { path: '/proc/1/ns/cgroup' } },
  'with a read-only mount': { mount: { options: ['rw', 'ro'] } },
  'with a mount elsewhere': { mount: { destination: '/sys/fs/cgroup2' } },
  'with something else there': { mount: { type: 'tmpfs' } },
  'when the user is not mapped': { uid: 11, uidMappings: MAPPINGS },
};

for (const [name, change] of Object.entries(KEPT)) {
  t.test(`planCgroupOwner() keeps the cgroup ${name}`, (t) => {
    t.equal(plan(change).owner, undefined);
    t.notMatch(printCgroupPlan(plan(change)), 'give');
    t.end();
  });
}

t.test('planCgroupOwner() can do without where an ordinary user asks', (t) => {
  t.strictSame(plan({ rootless: true }).owner, { directory: 0, uid: 7, optional: true });
  t.end();
});
