import t from 'tap';
import { planRlimits } from '../../../src/plan/process/rlimits.ts';
import { makeProcess } from '../fixtures.ts';

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

t.test("planRlimits() sets the caller's limit of open files where the config has none", (t) => {
  const openFiles = { soft: 1024n, hard: 4096n };
  t.same(planRlimits(makeProcess(), openFiles), [
    {
      resource: 7,
      soft: 1024n,
      hard: 4096n,
      label: "set RLIMIT_NOFILE to the caller's 1024:4096",
      pointer: '/process/rlimits',
    },
  ]);
  const process = makeProcess({ rlimits: [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 200 }] });
  t.match(planRlimits(process, openFiles), [{ resource: 7, soft: 100n, hard: 200n }]);
  t.equal(planRlimits(process, openFiles).length, 1);
  t.match(planRlimits(makeProcess(), { soft: 3n, hard: 4096n }), [{ soft: 64n }], 'enough for the set-up');
  t.end();
});
