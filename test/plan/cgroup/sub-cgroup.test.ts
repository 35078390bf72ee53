import t from 'tap';
import {
  planCgroupJoin,
  planFallbackOpen,
  planUnifiedJoin,
  planUnifiedOpen,
} from '../../../src/plan/namespaces/join-cgroups.ts';
import { planSubCgroups, type ContainerCgroup } from '../../../src/plan/cgroup/sub-cgroup.ts';
import { wordBlock } from '../../../src/program/build.ts';
import { Memory } from '../../../src/program/step.ts';
import { printSteps } from '../fixtures.ts';
import { makeContext } from '../fixtures.ts';

const cpu: ContainerCgroup = { kind: 'v1', controllers: ['cpu', 'cpuacct'], hostPath: '/cg/cpu/c1' };
const pids: ContainerCgroup = { kind: 'v1', controllers: ['pids'], hostPath: '/cg/pids/c1' };
const unified: ContainerCgroup = {
  kind: 'v2',
  controllers: ['hugetlb'],
  hostPath: '/cg/unified/c1',
  fallback: '/cg/f',
};
const hybrid = [cpu, pids, unified];

const below = (places: readonly ContainerCgroup[], ...wanted: Parameters<typeof planSubCgroups>[1]) =>
  planSubCgroups(places, wanted).map((place) => place.below);

t.test('planSubCgroups() puts a path below every v1 hierarchy, or below cgroup2 where it is alone', (t) => {
  t.same(below(hybrid, { path: 'a/b' }), ['a/b', 'a/b', undefined]);
  t.same(below([unified], { path: '/a//./b/../c/' }), ['a/c']);
  t.same(below(hybrid, { path: '/' }), [undefined, undefined, undefined]);
  t.same(below(hybrid), [undefined, undefined, undefined]);
  t.end();
});

t.test('planSubCgroups() puts a path with controllers below theirs', (t) => {
  t.same(below(hybrid, { controllers: ['pids'], path: 'a' }), [undefined, 'a', undefined]);
  const both = [
    { controllers: ['cpu', 'cpuacct'], path: 'a' },
    { controllers: ['pids'], path: 'b' },
  ];
  t.same(below(hybrid, ...both), ['a', 'b', undefined]);
  t.end();
});

t.test('planSubCgroups() keeps the way out only for the own cgroup of the container', (t) => {
  t.match(planSubCgroups([unified], []), [{ fallback: '/cg/f' }]);
  t.same(planSubCgroups([unified], [{ path: 'a' }]), [{ kind: 'v2', hostPath: '/cg/unified/c1', below: 'a' }]);
  t.end();
});

t.test('planSubCgroups() refuses what leads out, and what nobody can mean', (t) => {
  for (const path of ['..', '/..', '../c1', 'a/../..', '/a/../../c2', 'a\nb', 'a\0b'])
    t.throws(() => planSubCgroups(hybrid, [{ path }]), { code: 'cgroup', message: /^bad sub cgroup path: / }, path);
  const unknown = { code: 'cgroup', message: 'unknown controller hugetlb in SubCgroupPaths' };
  t.throws(() => planSubCgroups(hybrid, [{ controllers: ['hugetlb'], path: 'a' }]), unknown);
  const two = [
    { controllers: ['cpu'], path: 'a' },
    { controllers: ['cpuacct'], path: 'b' },
  ];
  t.throws(() => planSubCgroups(hybrid, two), { code: 'cgroup', message: /cpu,cpuacct share a hierarchy/ });
  t.end();
});

t.test('planCgroupJoin() opens what is below by the handle of the container', (t) => {
  const steps = planCgroupJoin(makeContext(), [{ ...pids, below: 'a' }]);
  const how =
    '{flags=O_CLOEXEC|O_WRONLY, resolve=RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_NO_XDEV}';
  t.equal(
    printSteps(steps),
    `
   0  openat(AT_FDCWD, "/cg/pids/c1", O_CLOEXEC|O_DIRECTORY|O_NOFOLLOW|O_PATH, 0) = cgroup above  # join cgroup "/cg/pids/c1/a"
   1  openat2(cgroup above, "a/tasks", ${how}, 24) = cgroup file  # join cgroup "/cg/pids/c1/a": open tasks
   2  close(cgroup above), accepts any errno  # close the cgroup above it
   3  write(cgroup file, "0", 1)  # join cgroup "/cg/pids/c1/a"
   4  close(cgroup file), accepts any errno  # close tasks
`,
  );
  t.end();
});

t.test('planUnifiedJoin() takes the cgroup of init when that of the container is busy', (t) => {
  const steps = planUnifiedJoin(makeContext(), [unified]);
  t.equal(
    printSteps(steps),
    `
   0  openat(AT_FDCWD, "/cg/unified/c1/cgroup.procs", O_CLOEXEC|O_NOFOLLOW|O_WRONLY, 0) = cgroup file  # join cgroup "/cg/unified/c1": open cgroup.procs
   1  write(cgroup file, "0", 1) = answer, accepts EBUSY  # join cgroup "/cg/unified/c1"
   2  close(cgroup file), accepts any errno  # close cgroup.procs
   3  if not (answer == -EBUSY) skip 3  # join the cgroup of init when it is busy
   4    openat(AT_FDCWD, "/cg/f/cgroup.procs", O_CLOEXEC|O_NOFOLLOW|O_WRONLY, 0) = cgroup file  # join cgroup "/cg/f": open cgroup.procs
   5    write(cgroup file, "0", 1)  # join cgroup "/cg/f"
   6    close(cgroup file), accepts any errno  # close cgroup.procs
`,
  );
  t.end();
});

t.test('planUnifiedOpen() and planFallbackOpen() open directories for the clone', (t) => {
  const memory = new Memory();
  const args = { kind: 'place', of: wordBlock([0, 0], 'args'), offset: 8 } as const;
  const inner = planUnifiedOpen({ memory }, [{ ...unified, below: 'a' }], args);
  t.match(inner, [{ call: 'openat' }, { call: 'openat2', operands: [{}, 'a'], result: args }, { call: 'close' }]);
  t.match(planFallbackOpen(unified, args), [{ call: 'openat', accept: ['ENOENT'], result: args }]);
  t.same(planFallbackOpen(pids, args), []);
  t.end();
});
