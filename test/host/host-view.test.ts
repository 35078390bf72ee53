import t from 'tap';
import { readHostFacts } from '../../src/host/facts.ts';
import { HostView } from '../../src/host/host-view.ts';

t.test('HostView sees what there is, and the same until something has changed', (t) => {
  const view = new HostView('/proc/self');
  const facts = view.facts();
  t.strictSame(facts, readHostFacts('/proc/self'));
  t.equal(view.facts(), facts);
  t.equal(view.mounts(), view.mounts());
  t.end();
});
