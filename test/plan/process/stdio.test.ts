import t from 'tap';
import { planNullStdio, planStdioOwner } from '../../../src/plan/process/stdio.ts';
import { makeContext, makeProcess, printSteps } from '../fixtures.ts';

t.test('planStdioOwner() leaves devices and what the user has already alone', (t) => {
  t.equal(
    printSteps(planStdioOwner(makeContext(), makeProcess({ user: { uid: 1000, gid: 1001 } }))),
    `
   0  statx(0, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at stdin
   1  if is a character device skip 2  # leave stdin alone when it is a device
   2    if owner is 1000 skip 1  # leave stdin to its owner
   3      fchown(0, 1000, -1), accepts EPERM EROFS EINVAL ENOENT  # give stdin to uid 1000  (/process/user/uid)
   4  statx(1, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at stdout
   5  if is a character device skip 2  # leave stdout alone when it is a device
   6    if owner is 1000 skip 1  # leave stdout to its owner
   7      fchown(1, 1000, -1), accepts EPERM EROFS EINVAL ENOENT  # give stdout to uid 1000  (/process/user/uid)
   8  statx(2, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat)  # look at stderr
   9  if is a character device skip 2  # leave stderr alone when it is a device
  10    if owner is 1000 skip 1  # leave stderr to its owner
  11      fchown(2, 1000, -1), accepts EPERM EROFS EINVAL ENOENT  # give stderr to uid 1000  (/process/user/uid)
`,
  );
  t.end();
});

t.test('planStdioOwner() gives away a terminal of its own, and nothing that a caller lends in the foreground', (t) => {
  const context = makeContext();
  const lent = { ...context, options: { ...context.options, lendsStdio: true } };
  t.strictSame(planStdioOwner(lent, makeProcess({ user: { uid: 1000 } })), []);
  t.equal(
    printSteps(planStdioOwner(lent, makeProcess({ user: { uid: 1000 }, terminal: true }))),
    `
   0  fchown(0, 1000, -1), accepts EPERM EROFS EINVAL ENOENT  # give the terminal to uid 1000  (/process/user/uid)
`,
  );
  t.end();
});

t.test('planStdioOwner() compares the owner with stx_uid', (t) => {
  const [, , check] = planStdioOwner(makeContext(), makeProcess({ user: { uid: 1000 } }));
  t.match(check, { condition: { value: { offset: 16 }, mask: 0xffff_ffff_0000_0000n, wanted: 1000n << 32n } });
  t.end();
});

t.test('CVE-2025-31133: planNullStdio() verifies the /dev/null of the container before it uses it', (t) => {
  const printed = printSteps(planNullStdio(makeContext()));
  t.match(
    printed,
    /^\n +0 +openat2\(root, "dev\/null", \{flags=O_CLOEXEC\|O_PATH, resolve=RESOLVE_IN_ROOT\|RESOLVE_NO_SYMLINKS\}/,
  );
  const order = [
    'if not (is device 1:3)',
    'if not (is a character device)',
    'flags=O_CLOEXEC|O_NOCTTY|O_RDWR',
    'if not (is device 1:3) fail ENODEV',
    'dup3(source, 0, 0)',
    'dup3(source, 1, 0)',
    'dup3(source, 2, 0)',
    'close(source)',
    'close(target)',
  ].map((text) => printed.indexOf(text));
  t.same(
    order,
    [...order].sort((a, b) => a - b),
  );
  t.notOk(order.includes(-1));
  t.end();
});
