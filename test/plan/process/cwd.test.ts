import t from 'tap';
import { allocateCwdAnswers, planEnterCwd, planMakeCwd, planRetryCwd } from '../../../src/plan/process/cwd.ts';
import { listFailures, makeContext, makeProcess, printSteps } from '../fixtures.ts';

const process = makeProcess({ cwd: '/srv/"x"' });

t.test('planMakeCwd() makes the directory by handles', (t) => {
  t.equal(
    printSteps(planMakeCwd(makeContext(), makeProcess({ cwd: '/../srv/' }))),
    `
   0  openat2(root, "srv", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts ENOENT EAGAIN  # open "/../srv/"  (/process/cwd)
   1  if not (target < 0) skip 3  # make "/../srv/" unless it is there
   2    mkdirat(root, "srv", 0755), accepts EEXIST  # create directory "/srv"  (/process/cwd)
   3    openat2(root, "srv", {flags=O_CLOEXEC|O_DIRECTORY|O_PATH, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = target, accepts EAGAIN  # open "/srv"  (/process/cwd)
   4    if target == -EAGAIN repeat 1 up to 64 times, then fail EAGAIN  # open "/srv"  (/process/cwd)
   5  close(target), accepts any errno  # close target
`,
  );
  t.end();
});

t.test('planMakeCwd() makes nothing for the root', (t) => {
  t.same(planMakeCwd(makeContext(), makeProcess({ cwd: '/..//.' })), []);
  t.end();
});

t.test('planEnterCwd() goes on when only the user may enter, planRetryCwd() tries it as the user; both verify', (t) => {
  const answers = allocateCwdAnswers(makeContext());
  const steps = [...planEnterCwd(process, answers), ...planRetryCwd(process, answers)];
  t.equal(
    printSteps(steps),
    `
   0  chdir("/srv/\\"x\\"") = cwd-entered, accepts EPERM EACCES  # exec: enter working directory "/srv/\\"x\\""  (/process/cwd)
   1  if cwd-entered < 0 skip 2  # verify it when root could enter
   2    getcwd(&<current working directory>, 4096)  # exec: verify working directory "/srv/\\"x\\""  (/process/cwd)
   3    if not (it starts with "/") fail ENOENT  # exec: verify working directory "/srv/\\"x\\""  (/process/cwd)
   4  if not (cwd-entered < 0) skip 4  # retry as the user when root could not enter
   5    chdir("/srv/\\"x\\"") = cwd-entered, accepts EACCES  # exec: enter working directory "/srv/\\"x\\""  (/process/cwd)
   6    if cwd-entered == -EACCES fail EACCES  # exec: enter working directory "/srv/\\"x\\""  (/process/cwd)
   7    getcwd(&<current working directory>, 4096)  # exec: verify working directory "/srv/\\"x\\""  (/process/cwd)
   8    if not (it starts with "/") fail ENOENT  # exec: verify working directory "/srv/\\"x\\""  (/process/cwd)
`,
  );
  const entering = 'chdir to cwd ("/srv/\\"x\\"") set in config.json failed: {errno}';
  const outside =
    'current working directory "/srv/\\"x\\"" is outside of container mount namespace root -- possible container breakout detected';
  t.same(listFailures(steps), [
    entering,
    outside,
    outside,
    entering,
    entering.replace('{errno}', 'permission denied: EACCES'),
    outside,
    outside,
  ]);
  t.end();
});

t.test('CVE-2024-21626: the check reads what the kernel wrote', (t) => {
  const answers = allocateCwdAnswers(makeContext());
  const steps = planEnterCwd(process, answers);
  const getcwd = steps.find((step) => step.kind === 'call' && step.call === 'getcwd');
  const check = steps.at(-1);
  t.ok(getcwd?.kind === 'call' && check?.kind === 'check');
  if (getcwd?.kind !== 'call' || check?.kind !== 'check') return t.end();
  t.match(getcwd.operands[0], { kind: 'address', offset: 0, of: { bytes: { length: 4096 } } });
  t.match(check.condition, { value: { offset: 0 }, mask: 0xffn, wanted: 0x2fn, invert: true });
  t.end();
});
