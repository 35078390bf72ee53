import t from 'tap';
import { capabilityNames } from '../../src/program/constant-names.ts';

t.test('capabilityNames() leaves a capability of a newer kernel its number', (t) => {
  t.equal(capabilityNames([0, 5, 63]), 'CAP_CHOWN|CAP_KILL|63');
  t.equal(capabilityNames([]), '0');
  t.end();
});
