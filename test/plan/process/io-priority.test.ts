import t from 'tap';
import { planIoPriority } from '../../../src/plan/process/io-priority.ts';
import { makeProcess, printSteps } from '../fixtures.ts';

t.test('planIoPriority() puts the class above the priority', (t) => {
  t.same(planIoPriority(makeProcess()), []);
  const steps = planIoPriority(makeProcess({ ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 6 } }));
  t.equal(
    printSteps(steps),
    `
   0  ioprio_set(IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6))  # set I/O priority "IOPRIO_CLASS_BE" 6  (/process/ioPriority)
`,
  );
  t.match(planIoPriority(makeProcess({ ioPriority: { class: 'IOPRIO_CLASS_IDLE' } })), [{ operands: [1, 0, 3 << 13] }]);
  t.match(planIoPriority(makeProcess({ ioPriority: { class: 'IOPRIO_CLASS_RT' } })), [{ operands: [1, 0, 1 << 13] }]);
  t.end();
});
