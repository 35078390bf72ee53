import t from 'tap';
import { Parser } from 'tap-parser';
import { EXPECTED_FAILURES, type ExpectedFailure } from '../../conformance/runtime-tools/expected-failures.ts';
import { judgeProgram, programPoint } from '../../conformance/runtime-tools/judge.ts';
import { programsReport } from '../../conformance/runtime-tools/report.ts';
import { verdictOf } from '../../conformance/runtime-tools/verdict.ts';

const run = (stdout: string, { code = 0, stderr = '' } = {}): ReturnType<typeof verdictOf> =>
  verdictOf({ code, stdout, stderr });

t.test('verdictOf() takes a program that has only good test points', (t) => {
  t.same(run('TAP version 13\nok 1 - a\nok 2 - b # SKIP no kernel\n1..2\n'), {
    isOk: true,
    isOkAsTap: true,
    points: 2,
    complaints: [],
  });
  t.end();
});

t.test('verdictOf() sees each way to fail', (t) => {
  t.match(run('TAP version 13\nok 1 - a\nnot ok 2 - b\n1..2\n'), { isOk: false, points: 1, complaints: ['b'] });
  t.match(run('TAP version 13\n1..0\n', { code: 2, stderr: 'panic\nat main' }), {
    isOk: false,
    complaints: ['exit code 2: at main'],
  });
  t.match(run('TAP version 13\nBail out! no root\n'), { isOk: false, complaints: [/no root/] });
  t.end();
});

t.test('verdictOf() takes an error outside of any test point for a failure', (t) => {
  const block = '  ---\n  {\n    "error": "Hooks MUST be\\ncalled"\n  }\n  ...\n';
  t.same(run(`TAP version 13\n${block}1..0\n`), {
    isOk: false,
    isOkAsTap: true,
    points: 0,
    complaints: ['Hooks MUST be called'],
  });
  t.ok(run(`TAP version 13\nok 1 - a\n${block}1..1\n`).isOk, 'one that belongs to a good test point says nothing');
  t.ok(run(`TAP version 13\n${block.replace('Hooks MUST be\\ncalled', '')}1..0\n`).isOk, 'an empty one says nothing');
  t.end();
});

const list: Record<string, ExpectedFailure> = {
  outdated: { fault: 'program', reason: 'it is old' },
  lacking: { fault: 'machine', reason: 'no controller' },
  other: { fault: 'tsrun', reason: 'it is otherwise' },
};
const good = { isOk: true, isOkAsTap: true, points: 1, complaints: [] };
const bad = { isOk: false, isOkAsTap: false, points: 0, complaints: ['bad'] };

t.test('judgeProgram() faults a failure that is not listed, and a listed program that passes', (t) => {
  const isFault = (program: string, isOk: boolean, isOurs = true): boolean =>
    judgeProgram(program, isOk ? good : bad, { isOurs, list }).isFault;
  t.notOk(isFault('new', true));
  t.ok(isFault('new', false), 'it is not listed');
  t.notOk(isFault('outdated', false));
  t.ok(isFault('outdated', true), 'the list is wrong');
  t.ok(isFault('other', true), 'the list is wrong');
  t.notOk(isFault('lacking', true), 'another kernel has it');
  t.notOk(isFault('outdated', true, false), 'the list is not about other runtimes');
  t.ok(isFault('other', false, false), 'what tsrun does otherwise is no excuse for others');
  t.end();
});

t.test('programPoint() prints TAP in which a listed failure is no failure, and says what passes unexpectedly', (t) => {
  const points = (['new', 'outdated'] as const).flatMap((program) =>
    [good, bad].map((verdict) => judgeProgram(program, verdict, { isOurs: true, list })),
  );
  const text = ['TAP version 14', ...points.flatMap((judged, index) => programPoint(index + 1, judged)), '1..4', ''];
  const events = Parser.parse(text.join('\n')) as readonly (readonly unknown[])[];
  const asserts = events.filter(([kind]) => kind === 'assert').map(([, value]) => value);
  t.match(asserts, [
    { ok: true, name: 'new', todo: false },
    { ok: false, name: 'new', todo: false, diag: { complaint_1: 'bad' } },
    { ok: false, name: 'outdated', todo: false, diag: { listed: /it passes: it is old/ } },
    { ok: false, name: 'outdated', todo: 'it is old' },
  ]);
  t.end();
});

t.test('programsReport() sets runtimes side by side and gives the reasons', (t) => {
  const judged = (isOk: boolean, isOurs: boolean): ReturnType<typeof judgeProgram> =>
    judgeProgram('outdated', isOk ? good : bad, { isOurs, list });
  const text = programsReport({
    date: new Date('2026-01-02'),
    kernel: 'Linux 6.1',
    runtimes: [
      { name: 'tsrun 1', notes: [], judged: [judged(false, true)] },
      { name: 'a|b', notes: ['odd'], judged: [judged(true, false)] },
    ],
  });
  t.match(text, '| tsrun 1 | 0 of 1 | 0 of 1 |  |');
  t.match(text, '| a\\|b | 1 of 1 | 1 of 1 | odd |');
  t.match(text, '| outdated | FAIL | pass | program | it is old |');
  t.end();
});

t.test('EXPECTED_FAILURES gives every program a reason', (t) => {
  for (const [program, { reason }] of Object.entries(EXPECTED_FAILURES)) t.ok(reason.length > 30, program);
  t.end();
});
