import t from 'tap';
import { planPersonality } from '../../../src/plan/process/personality.ts';
import { makeContext, printSteps } from '../fixtures.ts';

t.test('planPersonality() sets the domain', (t) => {
  t.same(planPersonality(makeContext()), []);
  const context = makeContext({ config: { linux: { personality: { domain: 'LINUX32', flags: ['X'] } } } });
  t.equal(
    printSteps(planPersonality(context)),
    `
   0  personality(PER_LINUX32)  # set personality "LINUX32"  (/linux/personality)
`,
  );
  t.match(planPersonality(makeContext({ config: { linux: { personality: { domain: 'LINUX' } } } })), [
    { operands: [0] },
  ]);
  t.end();
});
