import t from 'tap';
import { planPasswd } from '../../../src/plan/process/passwd.ts';
import { makeContext, makeProcess, printSteps } from '../fixtures.ts';

t.test('planPasswd() hands /etc/passwd over, or tells that there is none', (t) => {
  t.equal(
    printSteps(planPasswd(makeContext(), makeProcess())),
    `
   0  openat2(root, "etc/passwd", {flags=O_RDONLY|O_CLOEXEC|O_NOCTTY|O_NONBLOCK, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = passwd, accepts any errno  # open /etc/passwd
   1  if passwd == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open /etc/passwd
   2  if not (passwd < 0) skip 1  # skip 1 when not (passwd < 0)
   3    write(3, tag 21, 8)  # tell that there is no /etc/passwd
   4  if passwd < 0 skip 3  # skip 3 when passwd < 0
   5    dup3(passwd, 5, O_CLOEXEC)  # number passwd 5
   6    sendmsg(3, {tag 21, {SCM_RIGHTS, [5]}}, 0)  # hand over /etc/passwd
   7    close(passwd), accepts any errno  # close passwd
`,
  );
  t.end();
});

t.test('planPasswd() is empty when the environment names a home', (t) => {
  t.same(planPasswd(makeContext(), makeProcess({ env: ['HOME=/root'] })), []);
  t.end();
});

t.test('planPasswd() uses a number behind the preserved descriptors', (t) => {
  const steps = planPasswd(makeContext({ options: { preserveFds: 2 } }), makeProcess());
  t.match(
    steps.flatMap((step) => (step.kind === 'call' && step.call === 'dup3' ? [step.operands[1]] : [])),
    [7],
  );
  t.end();
});
