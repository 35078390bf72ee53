import { criuEnvironment, criuReason, isPeer } from './support/criu.ts';
import { CHECKPOINT_PAGE, runExamples } from './support/examples.ts';
import { live } from './support/rig.ts';

live('docs/checkpoint.md', async (t, rig) => {
  const skip = isPeer ? 'another runtime has no library' : criuReason;
  await t.test('its examples run', { skip }, async (t) => runExamples(t, rig, CHECKPOINT_PAGE, criuEnvironment));
});
