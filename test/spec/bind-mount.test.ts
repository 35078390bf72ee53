import t from 'tap';
import { isBindMount } from '../../src/spec/bind-mount.ts';

t.test('isBindMount() goes by options or type', (t) => {
  t.ok(isBindMount({ options: ['ro', 'bind'] }));
  t.ok(isBindMount({ type: 'tmpfs', options: ['rbind'] }));
  t.ok(isBindMount({ type: 'bind' }));
  t.notOk(isBindMount({ type: 'none', options: ['ro'] }));
  t.end();
});
