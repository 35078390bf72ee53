import t from 'tap';
import type { CgroupReference } from '../../src/cgroup/cgroup.ts';
import { foreseeCgroup } from '../../src/cgroup/foresee.ts';
import { makeCgroup, openCgroup, openManagedCgroup } from '../../src/cgroup/select.ts';
import type { CgroupPlan } from '../../src/plan/cgroup/plan.ts';

const NO_BUSES = { system: undefined, user: undefined };

t.test('a container without cgroups is limited by nothing and found through nothing', async (t) => {
  const plan: CgroupPlan = { manager: 'disabled', version: 'none', directories: [], prepare: [], limits: [] };
  const reference: CgroupReference = { manager: 'disabled', version: 'none', directories: [] };
  t.strictSame(foreseeCgroup(plan), reference);
  const opened = openCgroup(reference);
  for (const cgroup of [makeCgroup(plan, NO_BUSES), openManagedCgroup(reference, NO_BUSES)]) {
    t.strictSame(cgroup.reference, reference);
    await cgroup.attach(process.pid, plan);
    await cgroup.applyLimits(plan);
    await cgroup.announceLimits([]);
    await cgroup.remove({ kill: true });
  }
  opened.applyDevices(plan);
  await opened.freeze();
  t.equal(opened.isFrozen(), false);
  await opened.thaw();
  await opened.killAll(9);
  t.strictSame(opened.processes(), []);
  t.equal(opened.openDirectory(), undefined);
});

t.test('foreseeCgroup() names the unit of systemd, which removes what it makes', (t) => {
  const mountPoint = t.testdir({ a: {} });
  const directories = [{ kind: 'v2', controllers: ['pids'], mountPoint, path: '/a/b' }] as const;
  const plan: CgroupPlan = { manager: 'cgroupfs', version: 'v2', directories, prepare: [], limits: [] };
  const hostPath = `${mountPoint}/a/b`;
  const directory = { kind: 'v2', controllers: ['pids'], mountPoint, hostPath, made: [hostPath] };
  t.strictSame(foreseeCgroup(plan), { manager: 'cgroupfs', version: 'v2', directories: [directory] });
  const scope = { unit: 'x.scope', bus: 'user', isSlice: false, properties: [], limits: [] } as const;
  t.strictSame(foreseeCgroup({ ...plan, manager: 'systemd', scope }), {
    manager: 'systemd',
    version: 'v2',
    directories: [{ ...directory, made: [] }],
    unit: { name: 'x.scope', bus: 'user' },
  });
  t.throws(() => foreseeCgroup({ ...plan, manager: 'systemd' }), { message: 'bug: a plan for systemd without a unit' });
  t.end();
});
