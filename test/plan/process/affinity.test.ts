import t from 'tap';
import { planExecAffinity, planResetAffinity } from '../../../src/plan/process/affinity.ts';
import { makeProcess, printSteps } from '../fixtures.ts';

t.test('planResetAffinity() allows 8192 CPUs and accepts any refusal', (t) => {
  const steps = planResetAffinity();
  t.equal(
    printSteps(steps),
    `
   0  sched_setaffinity(0, 1024, all CPUs), accepts any errno  # allow all CPUs
`,
  );
  t.match(steps, [{ operands: [0, 1024, { bytes: new Uint8Array(1024).fill(0xff) }] }]);
  t.end();
});

t.test('planExecAffinity() sets the list of the moment', (t) => {
  const process = makeProcess({ execCPUAffinity: { initial: '0-1', final: '3' } });
  t.equal(
    printSteps(planExecAffinity(process, 'initial')),
    `
   0  sched_setaffinity(0, 8, CPUs 0-1)  # set CPU affinity "0-1"  (/process/execCPUAffinity/initial)
`,
  );
  t.equal(
    printSteps(planExecAffinity(process, 'final')),
    `
   0  sched_setaffinity(0, 8, CPUs 3)  # set CPU affinity "3"  (/process/execCPUAffinity/final)
`,
  );
  t.end();
});

t.test('planExecAffinity() does nothing without a list', (t) => {
  t.same(planExecAffinity(makeProcess(), 'initial'), []);
  t.same(planExecAffinity(makeProcess({ execCPUAffinity: { initial: '' } }), 'initial'), []);
  t.end();
});

t.test('planExecAffinity() refuses what is no list of CPUs', (t) => {
  const process = makeProcess({ execCPUAffinity: { final: '0-8192' } });
  t.throws(() => planExecAffinity(process, 'final'), {
    code: 'config',
    issues: [{ pointer: '/process/execCPUAffinity/final' }],
  });
  t.end();
});
