import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { openCgroupfs } from '../../src/cgroup/cgroupfs.ts';
import { refuseInUse } from '../../src/cgroup/make-cgroupfs.ts';
import type { CgroupReferenceDirectory } from '../../src/cgroup/cgroup.ts';
import { giveAway } from '../../src/cgroup/owner.ts';
import { listProcesses } from '../../src/cgroup/processes.ts';
import type { CgroupPlan } from '../../src/plan/cgroup/plan.ts';
import { makeFolder, withoutRights } from './folders.ts';

/** A cgroup v1 directory with these control files. */
function makeCgroup(t: Test, files: Record<string, string>): CgroupReferenceDirectory {
  const mountPoint = t.testdir({});
  const hostPath = makeFolder(`${mountPoint}/c1`, files);
  return { kind: 'v1', controllers: ['devices'], mountPoint, hostPath, made: [] };
}

function planWith(more: Partial<CgroupPlan>): CgroupPlan {
  return { manager: 'cgroupfs', version: 'v1', directories: [], prepare: [], limits: [], ...more };
}

t.test('Cgroup.applyDevices() fails where rules cannot be set, unless the plan can do without', (t) => {
  const directory = makeCgroup(t, { 'cgroup.procs': '' });
  const reference = { manager: 'cgroupfs', version: 'v1', directories: [directory] } as const;
  const cgroup = openCgroupfs(reference);
  const apply = (optional: boolean) => (): void => {
    const write = { kind: 'value', directory: 0, file: 'devices.deny', value: 'a', label: 'deny devices' } as const;
    cgroup.applyDevices(planWith({ devices: { kind: 'v1', writes: [write], optional } }));
  };
  t.throws(apply(false), { code: 'cgroup', errno: 'ENOENT', message: /^deny devices: .*no such file or directory/ });
  t.doesNotThrow(apply(true));
  t.end();
});

t.test('giveAway() fails where it has not the right to, unless the plan can do without', (t) => {
  const hostPath = mkdtempSync(path.join(tmpdir(), 'tsrun-owner-'));
  chmodSync(hostPath, 0o755);
  t.teardown(() => {
    rmSync(hostPath, { recursive: true });
  });
  const give = (optional: boolean) => (): void => {
    const owner = { directory: 0, uid: 1234, optional };
    withoutRights(() => {
      giveAway(planWith({ owner }), [{ hostPath }]);
    });
  };
  t.throws(give(false), { code: 'cgroup', errno: 'EPERM', message: / to uid 1234: operation not permitted: EPERM$/ });
  t.doesNotThrow(give(true));
  t.end();
});

t.test('a process of a pid namespace that cannot be seen into is in the cgroup all the same', (t) => {
  const directory = makeCgroup(t, { 'cgroup.procs': '0\n' });
  t.strictSame(listProcesses(directory.hostPath), { pids: [], outside: 1 });
  t.throws(
    () => {
      refuseInUse(directory);
    },
    { code: 'cgroup', message: /container's cgroup is not empty: 1 process\(es\) found/ },
  );
  t.end();
});
