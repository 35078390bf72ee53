import t from 'tap';
import { planLandlock } from '../../../src/plan/process/landlock.ts';
import { listFailures, makeContext, printSteps } from '../fixtures.ts';

const annotations = (value: unknown) => ({ 'run.tsrun.landlock': JSON.stringify(value) });
const contextOf = (value: unknown, version: readonly [number, number] = [6, 12]) =>
  makeContext({ config: { annotations: annotations(value) }, host: { kernel: { version } } });

t.test('planLandlock() does nothing without the annotation', (t) => {
  t.same(planLandlock(makeContext()), []);
  t.same(planLandlock(makeContext({ config: { annotations: { other: '{}' } } })), []);
  t.end();
});

t.test('planLandlock() adds a rule for each path, with the rights of a directory or of a file', (t) => {
  t.equal(
    printSteps(planLandlock(contextOf({ execute: ['/bin'] }))),
    `
   0  landlock_create_ruleset({handled_access_fs=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_IOCTL_DEV|LANDLOCK_ACCESS_FS_MAKE_BLOCK|LANDLOCK_ACCESS_FS_MAKE_CHAR|LANDLOCK_ACCESS_FS_MAKE_DIR|LANDLOCK_ACCESS_FS_MAKE_FIFO|LANDLOCK_ACCESS_FS_MAKE_REG|LANDLOCK_ACCESS_FS_MAKE_SOCK|LANDLOCK_ACCESS_FS_MAKE_SYM|LANDLOCK_ACCESS_FS_READ_DIR|LANDLOCK_ACCESS_FS_READ_FILE|LANDLOCK_ACCESS_FS_REFER|LANDLOCK_ACCESS_FS_REMOVE_DIR|LANDLOCK_ACCESS_FS_REMOVE_FILE|LANDLOCK_ACCESS_FS_TRUNCATE|LANDLOCK_ACCESS_FS_WRITE_FILE}, 8, 0) = ruleset, accepts ENOSYS EOPNOTSUPP  # make a Landlock ruleset  (/annotations/run.tsrun.landlock)
   1  if ruleset < 0 fail EOPNOTSUPP  # make a Landlock ruleset  (/annotations/run.tsrun.landlock)
   2  openat2(root, "bin", {flags=O_CLOEXEC|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # allow to execute "/bin"  (/annotations/run.tsrun.landlock)
   3  if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # allow to execute "/bin"  (/annotations/run.tsrun.landlock)
   4  statx(target, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at "/bin"
   5  if not (is a directory) skip 3  # with all rights for a directory
   6    fcntl(target, F_DUPFD_CLOEXEC, 0) = {allowed_access=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_READ_DIR|LANDLOCK_ACCESS_FS_READ_FILE, parent_fd}+8  # put the handle into the rule
   7    landlock_add_rule(ruleset, LANDLOCK_RULE_PATH_BENEATH, {allowed_access=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_READ_DIR|LANDLOCK_ACCESS_FS_READ_FILE, parent_fd}, 0)  # allow to execute "/bin"  (/annotations/run.tsrun.landlock)
   8    close({allowed_access=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_READ_DIR|LANDLOCK_ACCESS_FS_READ_FILE, parent_fd}+8), accepts any errno  # close the handle in the rule
   9  if is a directory skip 3  # with those of a file
  10    fcntl(target, F_DUPFD_CLOEXEC, 0) = {allowed_access=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_READ_FILE, parent_fd}+8  # put the handle into the rule
  11    landlock_add_rule(ruleset, LANDLOCK_RULE_PATH_BENEATH, {allowed_access=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_READ_FILE, parent_fd}, 0)  # allow to execute "/bin"  (/annotations/run.tsrun.landlock)
  12    close({allowed_access=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_READ_FILE, parent_fd}+8), accepts any errno  # close the handle in the rule
  13  close(target), accepts any errno  # close target
  14  landlock_restrict_self(ruleset, 0)  # confine the process with Landlock  (/annotations/run.tsrun.landlock)
  15  close(ruleset), accepts any errno  # close ruleset
`,
  );
  t.end();
});

t.test('planLandlock() denies everything that no rule allows', (t) => {
  const steps = planLandlock(contextOf({}));
  t.match(
    printSteps(steps),
    'handled_access_fs=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_IOCTL_DEV|LANDLOCK_ACCESS_FS_MAKE_BLOCK|LANDLOCK_ACCESS_FS_MAKE_CHAR|LANDLOCK_ACCESS_FS_MAKE_DIR|LANDLOCK_ACCESS_FS_MAKE_FIFO|LANDLOCK_ACCESS_FS_MAKE_REG|LANDLOCK_ACCESS_FS_MAKE_SOCK|LANDLOCK_ACCESS_FS_MAKE_SYM|LANDLOCK_ACCESS_FS_READ_DIR|LANDLOCK_ACCESS_FS_READ_FILE|LANDLOCK_ACCESS_FS_REFER|LANDLOCK_ACCESS_FS_REMOVE_DIR|LANDLOCK_ACCESS_FS_REMOVE_FILE|LANDLOCK_ACCESS_FS_TRUNCATE|LANDLOCK_ACCESS_FS_WRITE_FILE',
  );
  t.notMatch(printSteps(steps), 'landlock_add_rule');
  t.match(listFailures(steps).join(), 'this kernel has no Landlock');
  t.end();
});

t.test('planLandlock() asks older kernels for no right that they do not know', (t) => {
  const text = printSteps(planLandlock(contextOf({ write: ['/'] }, [6, 2])));
  t.match(
    text,
    'handled_access_fs=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_MAKE_BLOCK|LANDLOCK_ACCESS_FS_MAKE_CHAR|LANDLOCK_ACCESS_FS_MAKE_DIR|LANDLOCK_ACCESS_FS_MAKE_FIFO|LANDLOCK_ACCESS_FS_MAKE_REG|LANDLOCK_ACCESS_FS_MAKE_SOCK|LANDLOCK_ACCESS_FS_MAKE_SYM|LANDLOCK_ACCESS_FS_READ_DIR|LANDLOCK_ACCESS_FS_READ_FILE|LANDLOCK_ACCESS_FS_REFER|LANDLOCK_ACCESS_FS_REMOVE_DIR|LANDLOCK_ACCESS_FS_REMOVE_FILE|LANDLOCK_ACCESS_FS_TRUNCATE|LANDLOCK_ACCESS_FS_WRITE_FILE',
  );
  t.match(
    text,
    'allowed_access=LANDLOCK_ACCESS_FS_MAKE_BLOCK|LANDLOCK_ACCESS_FS_MAKE_CHAR|LANDLOCK_ACCESS_FS_MAKE_DIR|LANDLOCK_ACCESS_FS_MAKE_FIFO|LANDLOCK_ACCESS_FS_MAKE_REG|LANDLOCK_ACCESS_FS_MAKE_SOCK|LANDLOCK_ACCESS_FS_MAKE_SYM|LANDLOCK_ACCESS_FS_READ_DIR|LANDLOCK_ACCESS_FS_READ_FILE|LANDLOCK_ACCESS_FS_REFER|LANDLOCK_ACCESS_FS_REMOVE_DIR|LANDLOCK_ACCESS_FS_REMOVE_FILE|LANDLOCK_ACCESS_FS_TRUNCATE|LANDLOCK_ACCESS_FS_WRITE_FILE',
  );
  t.match(
    text,
    'allowed_access=LANDLOCK_ACCESS_FS_READ_FILE|LANDLOCK_ACCESS_FS_TRUNCATE|LANDLOCK_ACCESS_FS_WRITE_FILE',
  );
  const handlesIoctl = (...version: [number, number]) =>
    /handled_access_fs=\S*LANDLOCK_ACCESS_FS_IOCTL_DEV/.test(printSteps(planLandlock(contextOf({}, version))));
  t.strictSame([handlesIoctl(6, 9), handlesIoctl(6, 10), handlesIoctl(7, 0)], [false, true, true]);
  t.end();
});

t.test('planLandlock() refuses kernels that cannot keep files from being truncated', (t) => {
  for (const version of [
    [5, 10],
    [6, 1],
  ] as const) {
    t.throws(() => planLandlock(contextOf({}, version)), {
      code: 'unsupported',
      message: `this is Linux ${version.join('.')}, Landlock needs 6.2 (/annotations/run.tsrun.landlock of config.json)`,
    });
  }
  for (const version of [
    [6, 2],
    [7, 0],
  ] as const)
    t.doesNotThrow(() => planLandlock(contextOf({}, version)), version.join('.'));
  t.end();
});
