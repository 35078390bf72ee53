import t from 'tap';
import { planUts } from '../../../src/plan/namespaces/uts.ts';
import { makeContext, printSteps } from '../fixtures.ts';

t.test('planUts() sets what the config gives, lengths in bytes', (t) => {
  const steps = planUts(makeContext({ config: { hostname: 'höst', domainname: 'example.org' } }));
  t.equal(
    printSteps(steps),
    `
   0  sethostname("höst", 5)  # set hostname "höst"  (/hostname)
   1  setdomainname("example.org", 11)  # set domainname "example.org"  (/domainname)
`,
  );
  t.end();
});

t.test('planUts() leaves names alone that are missing or empty', (t) => {
  t.same(planUts(makeContext()), []);
  t.same(planUts(makeContext({ config: { hostname: '', domainname: '' } })), []);
  t.end();
});
