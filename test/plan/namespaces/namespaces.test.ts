import t from 'tap';
import {
  hasUserNamespace,
  NAMESPACE_FLAGS,
  planCgroupNamespace,
  planJoinNamespaces,
  planNewUserNamespace,
  planTimeNamespace,
  planUserNamespaceRoot,
} from '../../../src/plan/namespaces/namespaces.ts';
import type { Config, Namespace } from '../../../src/spec/generated/config.ts';
import { listFailures, makeContext, printSteps } from '../fixtures.ts';

function withNamespaces(...namespaces: Namespace[]) {
  return makeContext({ config: { linux: { namespaces } } });
}

t.test('NAMESPACE_FLAGS has a flag of its own for every type', (t) => {
  t.equal(new Set(Object.values(NAMESPACE_FLAGS)).size, 8);
  t.end();
});

t.test('planJoinNamespaces() is empty without paths', (t) => {
  t.same(planJoinNamespaces(makeContext()), []);
  t.same(planJoinNamespaces(withNamespaces({ type: 'pid' }, { type: 'user', path: '' })), []);
  t.end();
});

t.test('planJoinNamespaces() opens all files before it joins the first, with the type in the call', (t) => {
  const namespaces: Namespace[] = [
    { type: 'mount', path: '/proc/7/ns/mnt' },
    { type: 'pid' },
    { type: 'network', path: '/run/netns/a' },
  ];
  t.equal(
    printSteps(planJoinNamespaces(withNamespaces(...namespaces))),
    `
   0  openat(AT_FDCWD, "/proc/7/ns/mnt", O_RDONLY|O_CLOEXEC, 0) = ns-mount  # open mount namespace "/proc/7/ns/mnt"  (/linux/namespaces/0/path)
   1  openat(AT_FDCWD, "/run/netns/a", O_RDONLY|O_CLOEXEC, 0) = ns-network  # open network namespace "/run/netns/a"  (/linux/namespaces/2/path)
   2  setns(ns-mount, CLONE_NEWNS)  # join mount namespace "/proc/7/ns/mnt"  (/linux/namespaces/0/path)
   3  setns(ns-network, CLONE_NEWNET)  # join network namespace "/run/netns/a"  (/linux/namespaces/2/path)
`,
  );
  t.end();
});

t.test('planJoinNamespaces() tries each namespace before and after the user namespace', (t) => {
  const namespaces: Namespace[] = [
    { type: 'user', path: '/proc/7/ns/user' },
    { type: 'network', path: '/run/netns/a' },
  ];
  t.equal(
    printSteps(planJoinNamespaces(withNamespaces(...namespaces))),
    `
   0  openat(AT_FDCWD, "/proc/7/ns/user", O_RDONLY|O_CLOEXEC, 0) = ns-user  # open user namespace "/proc/7/ns/user"  (/linux/namespaces/0/path)
   1  openat(AT_FDCWD, "/run/netns/a", O_RDONLY|O_CLOEXEC, 0) = ns-network  # open network namespace "/run/netns/a"  (/linux/namespaces/1/path)
   2  setns(ns-network, CLONE_NEWNET) = join-network, accepts EPERM  # join network namespace "/run/netns/a"  (/linux/namespaces/1/path)
   3  setns(ns-user, CLONE_NEWUSER)  # join user namespace "/proc/7/ns/user"  (/linux/namespaces/0/path)
   4  if join-network == 0 skip 1  # skip 1 when join-network == 0
   5    setns(ns-network, CLONE_NEWNET)  # join network namespace "/run/netns/a"  (/linux/namespaces/1/path)
`,
  );
  t.end();
});

t.test('planNewUserNamespace() waits for the id maps with files that an unprivileged parent may write', (t) => {
  t.equal(
    printSteps(planNewUserNamespace(makeContext())),
    `
   0  unshare(CLONE_NEWUSER)  # create user namespace  (/linux/namespaces)
   1  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # allow the parent to write the id maps
   2  write(3, tag 16, 8)  # wait for the id maps
`,
  );
  t.end();
});

t.test('planUserNamespaceRoot() becomes the root of a user namespace, new or joined', (t) => {
  t.same(planUserNamespaceRoot(makeContext()), []);
  for (const path of [undefined, '/proc/7/ns/user']) {
    const context = withNamespaces({ type: 'user', ...(path === undefined ? {} : { path }) });
    t.equal(hasUserNamespace(context), true);
    t.match(planUserNamespaceRoot(context), [{ call: 'setresgid', operands: [0, 0, 0] }, { call: 'setresuid' }]);
    t.same(
      listFailures(planUserNamespaceRoot(context)),
      Array.from({ length: 2 }, () => 'become root of the user namespace: {errno} (id 0 must be mapped)'),
    );
  }
  t.end();
});

t.test('planTimeNamespace() writes the offsets before a process is in the namespace', (t) => {
  const plan = (linux: Config['linux']) => planTimeNamespace(makeContext({ config: { linux: linux ?? {} } }));
  t.same(plan({}), []);
  t.same(plan({ namespaces: [{ type: 'time', path: '/proc/7/ns/time' }] }), []);
  t.match(plan({ namespaces: [{ type: 'time' }] }), [{ call: 'unshare' }]);
  t.equal(plan({ namespaces: [{ type: 'time' }] }).length, 1);
  t.equal(
    printSteps(
      plan({
        namespaces: [{ type: 'time' }],
        timeOffsets: { monotonic: { secs: -1, nanosecs: 5 }, boottime: { nanosecs: 7 } },
      }),
    ),
    `
   0  unshare(CLONE_NEWTIME)  # create time namespace  (/linux/namespaces)
   1  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # own the files of /proc/self
   2  openat(AT_FDCWD, "/proc/self/timens_offsets", O_CLOEXEC|O_WRONLY, 0) = time offsets  # write time offsets  (/linux/timeOffsets)
   3  write(time offsets, "monotonic -1 5\\nboottime 0 7\\n", 28)  # write time offsets  (/linux/timeOffsets)
   4  close(time offsets), accepts any errno  # close time offsets
`,
  );
  t.end();
});

t.test('planTimeNamespace() writes seconds beyond 2^53 exactly', (t) => {
  const timeOffsets = { boottime: { secs: 9223372036854775807n } };
  const steps = planTimeNamespace(makeContext({ config: { linux: { namespaces: [{ type: 'time' }], timeOffsets } } }));
  t.match(
    steps.find((step) => step.kind === 'call' && step.call === 'write'),
    { operands: [{}, { text: String.raw`"boottime 9223372036854775807 0\n"` }, 31] },
  );
  t.end();
});

t.test('planCgroupNamespace() makes a new one only', (t) => {
  t.same(planCgroupNamespace(makeContext()), []);
  t.same(planCgroupNamespace(withNamespaces({ type: 'cgroup', path: '/proc/7/ns/cgroup' })), []);
  t.equal(
    printSteps(planCgroupNamespace(withNamespaces({ type: 'cgroup' }))),
    `
   0  unshare(CLONE_NEWCGROUP)  # create cgroup namespace  (/linux/namespaces)
`,
  );
  t.end();
});
