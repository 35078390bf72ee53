import t from 'tap';
import { lastCreateDescriptor, planStartInit } from '../../../src/plan/namespaces/start-init.ts';
import { makeContext, printSteps } from '../fixtures.ts';

t.test(
  'CVE-2016-9962: planStartInit() keeps the descriptors that were given, close-on-exec, and becomes opaque',
  (t) => {
    const context = makeContext();
    t.equal(
      printSteps(planStartInit(context, { lastDescriptor: lastCreateDescriptor(context, 0) })),
      `
   0  close_range(7, ~0U, 0)  # close inherited descriptors
   1  fcntl(3, F_SETFD, FD_CLOEXEC), accepts EBADF  # close descriptor 3 on exec
   2  fcntl(4, F_SETFD, FD_CLOEXEC), accepts EBADF  # close descriptor 4 on exec
   3  fcntl(5, F_SETFD, FD_CLOEXEC), accepts EBADF  # close descriptor 5 on exec
   4  fcntl(6, F_SETFD, FD_CLOEXEC), accepts EBADF  # close descriptor 6 on exec
   5  dup3(3, 5, O_CLOEXEC)  # keep number 5
   6  dup3(3, 6, O_CLOEXEC)  # keep number 6
   7  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # be opaque to other processes
   8  prctl(PR_SET_NAME, "tsrun:init", 0, 0, 0)  # be called "tsrun:init"
`,
    );
    t.end();
  },
);

t.test('planStartInit() leaves the preserved descriptors to the program', (t) => {
  const context = makeContext({ options: { preserveFds: 2 } });
  const steps = planStartInit(context, { lastDescriptor: lastCreateDescriptor(context, 0) });
  const touched = steps.flatMap((step) => (step.kind === 'call' && step.call === 'fcntl' ? [step.operands[0]] : []));
  t.same(touched, [5, 6, 7, 8]);
  t.match(steps[0], { call: 'close_range', operands: [9, 0xffff_ffff, 0] });
  t.end();
});

t.test('lastCreateDescriptor() counts the namespaces of idmapped mounts', (t) => {
  t.equal(lastCreateDescriptor(makeContext(), 0), 6);
  t.equal(lastCreateDescriptor(makeContext(), 2), 8);
  t.end();
});
