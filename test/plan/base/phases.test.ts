import t from 'tap';
import { EXCHANGES } from '../../../src/plan/base/exchanges.ts';
import { PhaseList } from '../../../src/plan/base/phases.ts';
import { call } from '../../../src/program/build.ts';

const step = (label: string) => call('getpid', [], { label });

t.test('PhaseList ends a program at each exchange', (t) => {
  const phases = new PhaseList()
    .add([step('a')], [], [step('b'), step('c')])
    .exchange('pid', 'first')
    .add([step('d')])
    .exchange('ready', 'second')
    .finish();
  t.match(phases, [
    {
      exchange: 'pid',
      program: {
        name: 'first',
        replies: true,
        reply: EXCHANGES.pid,
        steps: [{ label: 'a' }, { label: 'b' }, { label: 'c' }],
      },
    },
    { exchange: 'ready', program: { name: 'second', replies: true, steps: [{ label: 'd' }] } },
  ]);
  t.equal(phases.length, 2);
  t.end();
});

t.test('PhaseList refuses steps that nobody waits for', (t) => {
  t.throws(() => new PhaseList().add([step('a')]).finish(), { message: 'bug: steps behind the last exchange' });
  t.same(new PhaseList().finish(), []);
  t.end();
});
