import t from 'tap';
import { needsProcHandle, planProcHandle } from '../../../src/plan/base/proc-handle.ts';
import { makeContext, makeProcess, printSteps } from '../fixtures.ts';

t.test('needsProcHandle() holds when something is written below /proc', (t) => {
  const ociVersion = '1.3.0';
  t.equal(needsProcHandle({ ociVersion }), false);
  t.equal(needsProcHandle({ ociVersion, linux: { sysctl: {} } }), false);
  t.equal(needsProcHandle({ ociVersion, process: makeProcess({ apparmorProfile: '', selinuxLabel: '' }) }), false);
  t.equal(needsProcHandle({ ociVersion, linux: { sysctl: { 'net.ipv4.ip_forward': '1' } } }), true);
  t.equal(needsProcHandle({ ociVersion, process: makeProcess({ apparmorProfile: 'p' }) }), true);
  t.equal(needsProcHandle({ ociVersion, process: makeProcess({ selinuxLabel: 'l' }) }), true);
  t.end();
});

t.test('CVE-2025-52881: planProcHandle() makes a private proc, or verifies that of the host', (t) => {
  t.equal(
    printSteps(planProcHandle(makeContext())),
    `
   0  fsopen("proc", FSOPEN_CLOEXEC) = file system, accepts EPERM  # open a private proc file system
   1  fsconfig(file system, FSCONFIG_CMD_CREATE, NULL, NULL, 0), accepts EPERM EBADF  # open a private proc file system
   2  fsmount(file system, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSUID) = proc, accepts EPERM EBADF EINVAL  # open a private proc file system
   3  close(file system), accepts any errno  # close file system
   4  if not (proc < 0) skip 3  # skip 3 when not (proc < 0)
   5    openat(AT_FDCWD, "/proc", O_CLOEXEC|O_DIRECTORY|O_PATH, 0) = proc  # open /proc
   6    fstatfs(proc, &stat)  # look at /proc
   7    if not (/proc is a proc) fail ENODEV  # open /proc: it is no proc file system
`,
  );
  t.end();
});
