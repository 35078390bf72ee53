import t from 'tap';
import { reserveScratch } from '../../../src/plan/base/scratch.ts';
import { descriptorNumbers } from '../../../src/plan/base/context.ts';
import { printSteps } from '../fixtures.ts';

t.test('reserveScratch() keeps both numbers taken by copies of the sync pipe', (t) => {
  t.equal(
    printSteps(reserveScratch(descriptorNumbers(0))),
    `
   0  dup3(3, 5, O_CLOEXEC)  # keep number 5
   1  dup3(3, 6, O_CLOEXEC)  # keep number 6
`,
  );
  t.equal(
    printSteps(reserveScratch(descriptorNumbers(3))),
    `
   0  dup3(6, 8, O_CLOEXEC)  # keep number 8
   1  dup3(6, 9, O_CLOEXEC)  # keep number 9
`,
  );
  t.end();
});
