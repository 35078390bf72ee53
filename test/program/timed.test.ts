import t from 'tap';
import { at, call, equals, failWhen, isNegative, repeatWhile, unless } from '../../src/program/build.ts';
import { encode } from '../../src/program/encode.ts';
import { RECORD_SIZE, RECORDS_LAYOUT } from '../../src/program/layout.ts';
import { Memory, type Program, type Step } from '../../src/program/step.ts';
import { planRecords, RECORDS_MAX, timeProgram, type TimedProgram } from '../../src/program/timed.ts';
import { spanProgram } from '../../src/program/timeline.ts';
import { traceEvents } from '../../src/program/trace-events.ts';
import { descriptorNumbers } from '../../src/plan/base/context.ts';
import { planScenario, runPrograms, SCENARIOS } from '../plan/bundles.ts';

const memory = new Memory();
const word = memory.word('word');

/** The step, as it was planned, that comes next when a check does not let the program go on; undefined behind the last. */
function targets({ program, origins }: Pick<TimedProgram, 'program' | 'origins'>): Map<number, number | undefined> {
  const found = new Map<number, number | undefined>();
  program.steps.forEach((step, index) => {
    const origin = origins[index] ?? -1;
    if (step.kind !== 'check' || !('skip' in step.then || 'repeat' in step.then)) return;
    const to =
      'skip' in step.then ? index + 1 + step.then.skip : index - ('repeat' in step.then ? step.then.repeat : 0);
    found.set(origin, origins[to]);
  });
  return found;
}

function asPlanned(program: Program): Pick<TimedProgram, 'program' | 'origins'> {
  return { program, origins: program.steps.map((_, index) => index) };
}

t.test('timeProgram() notes a time behind every call, and checks lead where they did', (t) => {
  const steps: Step[] = [
    ...repeatWhile(isNegative(word), [call('getpid', [], { label: 'a', result: word })], {
      tries: 3,
      fail: 'EAGAIN',
      label: 'again',
    }),
    ...unless(equals(at(word, 0), 0n), [call('setsid', [], { label: 'b' }), call('getpid', [], { label: 'c' })]),
    failWhen(isNegative(word), 'EPERM', { label: 'd' }),
    call('setsid', [], { label: 'e' }),
  ];
  const timed = timeProgram({ name: 'test', replies: true, steps }, 5);
  t.strictSame(timed.origins, [-1, 0, -1, 1, 2, 3, -1, 4, -1, 5, 6, -1]);
  t.strictSame(timed.records, [-1, 0, 3, 4, 6]);
  t.strictSame(
    targets(timed),
    new Map([
      [1, 0],
      [2, 5],
    ]),
  );
  const [first] = timed.program.steps;
  const address = RECORDS_LAYOUT.address + 5 * RECORD_SIZE;
  t.match(first, { call: 'clock_gettime', operands: [0, address], accept: 'any' });
  t.end();
});

for (const scenario of SCENARIOS) {
  t.test(`timeProgram() leaves the ways through ${scenario.name} on ${scenario.host} as they are`, (t) => {
    const programs = [...planScenario(scenario).phases.map(({ program }) => program), ...runPrograms(scenario)];
    for (const program of programs) {
      const timed = timeProgram(program, 0);
      t.strictSame(
        timed.origins.filter((origin) => origin >= 0),
        program.steps.map((_, index) => index),
      );
      const ways = targets(asPlanned(program));
      for (const [origin, to] of targets(timed)) {
        // A skip may lead to a record in front of nothing: behind the last step.
        t.equal(to === -1 ? undefined : to, ways.get(origin), `${program.name}: step ${origin}`);
      }
      const { sync: syncFd } = descriptorNumbers(scenario.options?.preserveFds ?? 0);
      t.ok(encode(timed.program, { arch: 'x86-64', syncFd }).length > 0);
    }
    t.end();
  });
}

t.test('timeProgram() writes no record behind a filter, and none where there is no room', (t) => {
  const steps = [
    call('setsid', [], { label: 'before' }),
    call('seccomp', [1, 0, 0], { label: 'filter' }),
    call('setsid', [], { label: 'behind' }),
  ];
  const program = { name: 'test', replies: false, steps };
  t.match(timeProgram(program, 0), { records: [-1, 0], filters: true });
  t.strictSame(timeProgram(program, RECORDS_MAX - 1).records, [-1]);
  t.strictSame(timeProgram(program, RECORDS_MAX).program.steps, steps);
  t.end();
});

t.test('planRecords() maps the file shared, writable and nowhere else', (t) => {
  const [mapped] = planRecords({ file: 9, sync: 3 }).steps;
  t.match(mapped, { call: 'mmap', operands: [RECORDS_LAYOUT.address, RECORDS_LAYOUT.size, 3, 0x11, 9, 0] });
  t.end();
});

t.test('spanProgram() gives each step the time since the one before, and execve what is left', (t) => {
  const steps = [
    call('setsid', [], { label: 'first', pointer: '/process' }),
    call('getpid', [], { label: 'skipped' }),
    call('execve', ['/bin/true', 0, 0], { label: 'execute' }),
  ];
  const program = { name: 'run', replies: false, steps };
  const span = spanProgram({ program, records: [-1, 0, 1, 2], times: [110, 140, 0, 0], from: 100, to: 190 });
  t.strictSame(
    span.steps.map(({ label, from, to }) => [label, from, to]),
    [
      ['first', 110, 140],
      ['skipped, and all that follows', 140, 190],
    ],
  );
  const answered = spanProgram({
    program: { ...program, replies: true },
    records: [-1, 0],
    times: [110, 140],
    from: 100,
    to: 190,
  });
  t.equal(answered.steps.length, 1);
  const late = spanProgram({ program, records: [-1, 0], times: [110, 300], from: 100, to: 190 });
  t.match(
    late,
    { to: 190, steps: [{ from: 110, to: 190 }] },
    'what is done behind the answer is no part of the wait for it',
  );
  t.strictSame(spanProgram({ program, records: [], times: [], from: 1, to: 2 }).steps, []);
  const { traceEvents: events } = traceEvents({ phases: [], programs: [answered] }, { operation: 'run' });
  t.match(
    events.filter(({ ph }) => ph === 'X').map(({ name, ts, dur }) => [name, ts, dur]),
    [
      ['run', 0, 90],
      ['init takes the program up', 0, 10],
      ['first', 10, 30],
      ['setsid', 10, 30],
      ['until the command has the answer', 40, 50],
    ],
  );
  t.end();
});
