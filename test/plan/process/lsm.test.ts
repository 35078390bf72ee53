import t from 'tap';
import {
  planApparmor,
  planSelinux,
  planSelinuxKeyLabel,
  planSelinuxKeyLabelEnd,
} from '../../../src/plan/process/lsm.ts';
import { listFailures, makeContext, makeProcess, printSteps } from '../fixtures.ts';

const withApparmor = { host: { lsm: { apparmor: true } } };
const withSelinux = { host: { lsm: { selinux: true } } };
const selinuxLabel = 'system_u:system_r:container_t:s0:c1,c2';

t.test('planApparmor() writes to the file of its own, or to the shared one of older kernels', (t) => {
  const steps = planApparmor(makeContext(withApparmor), makeProcess({ apparmorProfile: 'crio-"default"' }));
  t.equal(
    printSteps(steps),
    `
   0  openat2(proc, "thread-self/attr/apparmor/exec", {flags=O_CLOEXEC|O_WRONLY, resolve=RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_XDEV}, 24) = attribute, accepts ENOENT  # apply AppArmor profile "crio-\\"default\\""  (/process/apparmorProfile)
   1  if attribute < 0 skip 1  # use attr/apparmor/exec when the kernel has it
   2    write(attribute, "exec crio-\\"default\\"", 19)  # apply AppArmor profile "crio-\\"default\\""  (/process/apparmorProfile)
   3  if not (attribute < 0) skip 2  # use attr/exec otherwise
   4    openat2(proc, "thread-self/attr/exec", {flags=O_CLOEXEC|O_WRONLY, resolve=RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_XDEV}, 24) = attribute  # apply AppArmor profile "crio-\\"default\\""  (/process/apparmorProfile)
   5    write(attribute, "exec crio-\\"default\\"", 19)  # apply AppArmor profile "crio-\\"default\\""  (/process/apparmorProfile)
   6  close(attribute), accepts any errno  # close attribute
`,
  );
  t.same(listFailures(steps), [
    'apparmor failed to apply profile "crio-\\"default\\"": write /proc/thread-self/attr/apparmor/exec: {errno}',
    'apparmor failed to apply profile "crio-\\"default\\"": write /proc/thread-self/attr/apparmor/exec: {errno}',
    'apparmor failed to apply profile "crio-\\"default\\"": write /proc/thread-self/attr/exec: {errno}',
    'apparmor failed to apply profile "crio-\\"default\\"": write /proc/thread-self/attr/exec: {errno}',
  ]);
  t.end();
});

t.test('planApparmor() does nothing without a profile, and for "unconfined" where there is no AppArmor', (t) => {
  t.same(planApparmor(makeContext(withApparmor), makeProcess()), []);
  t.same(planApparmor(makeContext(withApparmor), makeProcess({ apparmorProfile: '' })), []);
  t.same(planApparmor(makeContext(), makeProcess({ apparmorProfile: 'unconfined' })), []);
  t.not(planApparmor(makeContext(withApparmor), makeProcess({ apparmorProfile: 'unconfined' })).length, 0);
  t.end();
});

t.test('planApparmor() refuses a profile where there is no AppArmor', (t) => {
  t.throws(() => planApparmor(makeContext(), makeProcess({ apparmorProfile: 'p' })), {
    code: 'unsupported',
    message:
      'apply AppArmor profile "p": AppArmor is not enabled on this host (/process/apparmorProfile of config.json)',
  });
  t.end();
});

t.test('planSelinux() writes the label', (t) => {
  t.same(planSelinux(makeContext(withSelinux), makeProcess()), []);
  t.equal(
    printSteps(planSelinux(makeContext(withSelinux), makeProcess({ selinuxLabel }))),
    `
   0  openat2(proc, "thread-self/attr/exec", {flags=O_CLOEXEC|O_WRONLY, resolve=RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_XDEV}, 24) = attribute  # apply SELinux label "system_u:system_r:container_t:s0:c1,c2"  (/process/selinuxLabel)
   1  write(attribute, "system_u:system_r:container_t:s0:c1,c2", 38)  # apply SELinux label "system_u:system_r:container_t:s0:c1,c2"  (/process/selinuxLabel)
   2  close(attribute), accepts any errno  # close attribute
`,
  );
  t.end();
});

t.test('planSelinux() refuses a label where there is no SELinux', (t) => {
  for (const plan of [planSelinux, planSelinuxKeyLabel]) {
    t.throws(() => plan(makeContext(), makeProcess({ selinuxLabel: 'l' })), {
      code: 'unsupported',
      message: /SELinux is not enabled on this host \(\/process\/selinuxLabel of config.json\)$/,
    });
  }
  t.end();
});

t.test('planSelinuxKeyLabel() and planSelinuxKeyLabelEnd() are a bracket', (t) => {
  const context = makeContext(withSelinux);
  const process = makeProcess({ selinuxLabel });
  t.equal(
    printSteps([...planSelinuxKeyLabel(context, process), ...planSelinuxKeyLabelEnd(context, process)]),
    `
   0  openat2(proc, "thread-self/attr/keycreate", {flags=O_CLOEXEC|O_WRONLY, resolve=RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_XDEV}, 24) = attribute  # label new keys "system_u:system_r:container_t:s0:c1,c2"  (/process/selinuxLabel)
   1  write(attribute, "system_u:system_r:container_t:s0:c1,c2", 38)  # label new keys "system_u:system_r:container_t:s0:c1,c2"  (/process/selinuxLabel)
   2  close(attribute), accepts any errno  # close attribute
   3  openat2(proc, "thread-self/attr/keycreate", {flags=O_CLOEXEC|O_WRONLY, resolve=RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_XDEV}, 24) = attribute  # end labelling new keys  (/process/selinuxLabel)
   4  write(attribute, "", 1)  # end labelling new keys  (/process/selinuxLabel)
   5  close(attribute), accepts any errno  # close attribute
`,
  );
  t.same(planSelinuxKeyLabelEnd(context, makeProcess()), []);
  t.end();
});
