import { readFileSync } from 'node:fs';
import { expectFailure, live } from './support/rig.ts';

const isMounted = readFileSync('/proc/self/mountinfo', 'utf8').includes(' - resctrl ');

live('Intel RDT', async (t, rig) => {
  const skip = isMounted ? 'resctrl is mounted here' : false;
  await t.test('a host without resctrl refuses it', { skip }, async (t) => {
    const result = await rig.run({ change: (config) => (config.linux.intelRdt = { closID: 'gold' }) });
    expectFailure(t, result, { message: '/linux/intelRdt: resctrl is not mounted' });
    t.strictSame(rig.leftovers(), []);
  });
});
