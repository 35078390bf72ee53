import { statSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { delegatedFiles, giveAway, giveFiles } from '../../src/cgroup/owner.ts';
import type { CgroupPlan } from '../../src/plan/cgroup/plan.ts';
import { makeFolder } from './folders.ts';

const FILES = ['cgroup.procs', 'cgroup.threads', 'cgroup.subtree_control', 'memory.max', 'memory.reclaim'];

function planFor(uid: number, optional = false): CgroupPlan {
  const owner = { directory: 0, uid, optional };
  return { manager: 'cgroupfs', version: 'v2', directories: [], prepare: [], owner, limits: [] };
}

function makeCgroup(t: Test): string {
  return makeFolder(path.join(t.testdir(), 'c1'), Object.fromEntries(FILES.map((name) => [name, ''])));
}

const needsRoot = process.getuid?.() === 0 ? false : 'needs root';

t.test('giveFiles() gives the directory and the listed files', { skip: needsRoot }, (t) => {
  const hostPath = makeCgroup(t);
  const { gid } = statSync(hostPath);
  giveFiles(hostPath, delegatedFiles('cgroup.procs\nmemory.reclaim\nnot.there\n../memory.max'), {
    uid: 1234,
    optional: false,
  });
  const owner = (name: string): number => statSync(path.join(hostPath, name)).uid;
  t.strictSame([owner('.'), owner('cgroup.procs'), owner('memory.reclaim')], [1234, 1234, 1234]);
  t.strictSame([owner('memory.max'), owner('cgroup.threads')], [0, 0], 'and no other');
  t.equal(statSync(hostPath).gid, gid, 'the group stays');
  t.end();
});

t.test('delegatedFiles() knows what matters where the kernel has no list', { skip: needsRoot }, (t) => {
  const hostPath = makeCgroup(t);
  giveFiles(hostPath, delegatedFiles(undefined), { uid: 1234, optional: false });
  const given = FILES.filter((name) => statSync(path.join(hostPath, name)).uid === 1234);
  t.strictSame(given, ['cgroup.procs', 'cgroup.threads', 'cgroup.subtree_control']);
  t.end();
});

t.test('giveAway() says what it could not give, and does nothing without an owner', (t) => {
  const hostPath = path.join(t.testdir(), 'not-there');
  const give = (plan: CgroupPlan) => (): void => {
    giveAway(plan, [{ hostPath }]);
  };
  t.throws(give(planFor(1234)), {
    code: 'cgroup',
    message: /^give ".*not-there" to uid 1234: no such file or directory: ENOENT$/,
  });
  const { owner, ...kept } = planFor(1234);
  t.equal(owner?.uid, 1234);
  t.doesNotThrow(give(kept));
  t.end();
});
