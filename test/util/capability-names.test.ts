import t from 'tap';
import { capabilityNumbers } from '../../src/util/capability-names.ts';

t.test('capabilityNumbers numbers 41 capabilities as the kernel does', (t) => {
  t.equal(capabilityNumbers.size, 41);
  const known = {
    CAP_CHOWN: 0,
    CAP_NET_ADMIN: 12,
    CAP_SYS_ADMIN: 21,
    CAP_SETFCAP: 31,
    CAP_BPF: 39,
    CAP_CHECKPOINT_RESTORE: 40,
  };
  for (const [name, number] of Object.entries(known)) t.equal(capabilityNumbers.get(name), number, name);
  t.end();
});
