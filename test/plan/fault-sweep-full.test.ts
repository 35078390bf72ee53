import t from 'tap';
import { SCENARIOS } from './bundles.ts';
import { sweepFaults } from './sweep-faults.ts';

for (const scenario of SCENARIOS.filter(({ name }) => name === 'full')) {
  t.test(`stepOfFailure() names the step of ${scenario.name} on ${scenario.host} that failed`, (t) => {
    sweepFaults(t, scenario);
    t.end();
  });
}
