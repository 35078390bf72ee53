import t from 'tap';
import { planRlimits } from '../../src/plan/rlimits.ts';
import { makeProcess } from './fixtures.ts';

t.test('planRlimits() lists the settings in their order, as big integers', (t) => {
  const unlimited = 18446744073709551615n;
  const process = makeProcess({
    rlimits: [
      { type: 'RLIMIT_NOFILE', soft: 1024, hard: 4096 },
      { type: 'RLIMIT_CORE', soft: 0, hard: unlimited },
    ],
  });
  t.same(planRlimits(process), [
    { resource: 7, soft: 1024n, hard: 4096n, label: 'set RLIMIT_NOFILE to 1024:4096', pointer: '/process/rlimits/0' },
    {
      resource: 4,
      soft: 0n,
      hard: unlimited,
      label: 'set RLIMIT_CORE to 0:18446744073709551615',
      pointer: '/process/rlimits/1',
    },
  ]);
  t.same(planRlimits(makeProcess()), []);
  t.end();
});
