import t from 'tap';
import {
  planForgetCapabilities,
  planGroups,
  planIds,
  planKeepCapabilities,
  planNoNewPrivileges,
  planUmask,
} from '../../../src/plan/process/credentials.ts';
import { listFailures, makeContext, makeProcess, printSteps } from '../fixtures.ts';

const userNamespace = { linux: { namespaces: [{ type: 'user' as const }] } };

t.test('planGroups() clears the groups of the host when the config has none', (t) => {
  t.equal(
    printSteps(planGroups(makeContext(), makeProcess())),
    `
   0  setgroups(0, NULL)  # clear the supplementary groups  (/process/user)
`,
  );
  t.equal(
    printSteps(planGroups(makeContext({ config: userNamespace }), makeProcess())),
    `
   0  setgroups(0, NULL)  # clear the supplementary groups  (/process/user)
`,
  );
  t.end();
});

t.test('planGroups() accepts that an empty list is denied to an unprivileged runtime and in a user namespace', (t) => {
  const unprivileged = makeContext({ host: { identity: { euid: 1000 } } });
  t.equal(
    printSteps(planGroups(unprivileged, makeProcess())),
    `
   0  setgroups(0, NULL), accepts EPERM  # clear the supplementary groups  (/process/user)
`,
  );
  const inside = makeContext({ host: { identity: { inUserNamespace: true } } });
  t.match(planGroups(inside, makeProcess()), [{ accept: ['EPERM'] }]);
  t.end();
});

t.test('planGroups() sets the additional groups as an array of u32', (t) => {
  const steps = planGroups(makeContext(), makeProcess({ user: { additionalGids: [5, 70000] } }));
  t.equal(
    printSteps(steps),
    `
   0  setgroups(2, [5, 70000])  # set supplementary groups [5, 70000]  (/process/user/additionalGids)
`,
  );
  t.match(steps, [{ operands: [2, { bytes: Uint8Array.of(5, 0, 0, 0, 0x70, 0x11, 1, 0) }] }]);
  t.same(listFailures(steps), []);
  t.end();
});

t.test('planGroups() says why groups cannot be set in a rootless container', (t) => {
  const context = makeContext({ host: { identity: { euid: 1000 } } });
  const steps = planGroups(context, makeProcess({ user: { additionalGids: [5] } }));
  t.match(steps, [{ accept: undefined }]);
  t.same(listFailures(steps), ['cannot set any additional groups in a rootless container: setgroups [5]: {errno}']);
  t.end();
});

t.test('planIds() sets the group before the user', (t) => {
  t.equal(
    printSteps(planIds(makeContext(), makeProcess({ user: { uid: 1000, gid: 1001 } }))),
    `
   0  setresgid(1001, 1001, 1001)  # set gid to 1001  (/process/user/gid)
   1  setresuid(1000, 1000, 1000)  # set uid to 1000  (/process/user/uid)
`,
  );
  t.end();
});

t.test('planIds() tells unmapped ids of a user namespace from other failures', (t) => {
  const steps = planIds(makeContext({ config: userNamespace }), makeProcess());
  t.equal(
    printSteps(steps),
    `
   0  setresgid(0, 0, 0) = answer, accepts EINVAL  # set gid to 0  (/process/user/gid)
   1  if answer == -EINVAL fail EINVAL  # check that gid 0 is mapped  (/process/user/gid)
   2  setresuid(0, 0, 0) = answer, accepts EINVAL  # set uid to 0  (/process/user/uid)
   3  if answer == -EINVAL fail EINVAL  # check that uid 0 is mapped  (/process/user/uid)
`,
  );
  t.same(listFailures(steps), [
    'cannot set gid to unmapped group 0 in user namespace: {errno}',
    'cannot set uid to unmapped user 0 in user namespace: {errno}',
  ]);
  t.equal(planIds(makeContext({ host: { identity: { inUserNamespace: true } } }), makeProcess()).length, 4);
  t.end();
});

t.test('planKeepCapabilities() and planForgetCapabilities() are a bracket', (t) => {
  t.equal(
    printSteps([...planKeepCapabilities(), ...planForgetCapabilities()]),
    `
   0  prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)  # keep capabilities across the change of uid
   1  prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0)  # end keeping capabilities
`,
  );
  t.end();
});

t.test('planUmask() sets 0022 when the config has none', (t) => {
  t.equal(
    printSteps(planUmask(makeProcess())),
    `
   0  umask(022)  # set umask to 0022  (/process/user/umask)
`,
  );
  t.equal(
    printSteps(planUmask(makeProcess({ user: { umask: 0o077 } }))),
    `
   0  umask(077)  # set umask to 0077  (/process/user/umask)
`,
  );
  t.equal(
    printSteps(planUmask(makeProcess({ user: { umask: 0 } }))),
    `
   0  umask(0)  # set umask to 0000  (/process/user/umask)
`,
  );
  t.end();
});

t.test('planNoNewPrivileges() sets no_new_privs when asked, and never clears it', (t) => {
  t.equal(
    printSteps(planNoNewPrivileges(makeProcess({ noNewPrivileges: true }))),
    `
   0  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)  # set no_new_privs  (/process/noNewPrivileges)
`,
  );
  t.same(planNoNewPrivileges(makeProcess({ noNewPrivileges: false })), []);
  t.same(planNoNewPrivileges(makeProcess()), []);
  t.end();
});
