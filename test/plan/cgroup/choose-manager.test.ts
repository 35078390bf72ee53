import t from 'tap';
import { chooseCgroupManager, type ManagerChoice } from '../../../src/plan/cgroup/choose-manager.ts';
import type { Config } from '../../../src/spec/generated/config.ts';

const user: ManagerChoice = { asked: 'cgroupfs', rootless: true, isWritable: false };
const choose = (linux: Config['linux'], changes: Partial<ManagerChoice> = {}) =>
  chooseCgroupManager({ ociVersion: '1.3.0', ...(linux === undefined ? {} : { linux }) }, { ...user, ...changes });

t.test('chooseCgroupManager() goes on without cgroups for a user who has none and asks for none', (t) => {
  for (const linux of [undefined, {}, { cgroupsPath: '' }, { resources: {} }, { resources: { pids: {}, memory: {} } }])
    t.equal(choose(linux as Config['linux']), 'disabled', JSON.stringify(linux));
  const devices = [{ allow: false, access: 'rwm' as const }];
  t.equal(choose({ resources: { devices } }), 'disabled', 'device rules are no limit');
  t.equal(choose({ resources: { unified: {}, hugepageLimits: [] } }), 'disabled');
  t.equal(choose({ resources: { pids: { limit: -1 } } }), 'disabled', 'no limit of processes');
  const linux = { resources: { pids: { limit: 0 } } };
  t.equal(chooseCgroupManager({ ociVersion: '1.0.2', linux }, user), 'disabled', 'no limit before 1.3');
  t.equal(chooseCgroupManager({ ociVersion: '1.3.0', linux }, user), 'cgroupfs', 'a limit since 1.3');
  t.end();
});

t.test('chooseCgroupManager() takes what was asked for when there is a place or a limit', (t) => {
  t.equal(choose({ cgroupsPath: '/pod/c1' }), 'cgroupfs');
  t.equal(choose({ resources: { pids: { limit: 5 } } }), 'cgroupfs');
  t.equal(choose({ resources: { unified: { 'pids.max': '5' } } }), 'cgroupfs');
  t.equal(choose({ resources: { hugepageLimits: [{ pageSize: '2MB', limit: 0 }] } }), 'cgroupfs');
  t.equal(choose({ resources: { devices: [{ allow: true }], cpu: { shares: 2 } } }), 'cgroupfs');
  t.end();
});

t.test('chooseCgroupManager() takes what was asked for where cgroups can be made', (t) => {
  t.equal(choose({}, { rootless: false }), 'cgroupfs', 'root is told when it fails');
  t.equal(choose({}, { isWritable: true }), 'cgroupfs', 'a cgroup that was delegated');
  for (const rootless of [true, false]) t.equal(choose({}, { asked: 'disabled', rootless }), 'disabled');
  t.equal(choose({ cgroupsPath: '/x' }, { asked: 'disabled' }), 'disabled');
  t.end();
});
