import t from 'tap';
import { Parser } from 'tap-parser';
import { htmlReport } from '../../conformance/harness/html-report.ts';
import { markdownReport } from '../../conformance/harness/markdown-report.ts';
import { cellOf, countOf, type RuntimeReport } from '../../conformance/harness/report.ts';
import {
  Failure,
  outcomeOf,
  section,
  Skip,
  type Outcome,
  type Requirement,
} from '../../conformance/harness/requirement.ts';
import { subtest, testPoint } from '../../conformance/harness/tap.ts';

const run = (): Promise<void> => Promise.resolve();
const { must, should } = section('runtime.md', 'Kill');
const requirements: Requirement[] = [
  must('kill.a', 'a # and a \\', run),
  must('kill.b', 'b', run, { says: 'It is so.' }),
  should('kill.c', 'c', run),
  must('kill.d', 'd', run, { disputed: 'one may doubt it' }),
];
const outcomes: Outcome[] = [
  { kind: 'pass' },
  outcomeOf(new Failure('the <b>', { wanted: 1, found: { a: '|' } })),
  outcomeOf(new Skip('no kernel')),
  outcomeOf(new Failure('d', { wanted: 'x', found: undefined })),
];
const results = requirements.map(({ id }, index) => ({
  id,
  outcome: outcomes[index] ?? outcomeOf('none'),
  durationMs: 1.4,
}));
const runtime: RuntimeReport = {
  name: 'runtime 1',
  path: '/r',
  version: 'runtime 1',
  spec: '1.3.0',
  notes: ['a note'],
  results: new Map(results.map((result) => [result.id, result])),
};

t.test('outcomeOf() makes an exception that is no finding a failure of the suite', (t) => {
  t.match(outcomeOf(new TypeError('oops')), { kind: 'fail', what: 'the suite itself failed', found: /oops/ });
  t.match(outcomeOf('text'), { kind: 'fail', found: 'text' });
  t.end();
});

t.test('countOf() counts a disputed requirement nowhere else, and a missing result as a failure', (t) => {
  t.same(countOf(runtime, requirements), { passed: 1, failed: 1, skipped: 1, disputed: 1 });
  t.same(countOf({ ...runtime, results: new Map() }, requirements), { passed: 0, failed: 3, skipped: 0, disputed: 1 });
  t.same(
    requirements.map((requirement) => cellOf(requirement, runtime)),
    ['pass', 'FAIL', 'skip', 'disputed, fail'],
  );
  t.end();
});

t.test('testPoint() and subtest() print TAP that names the sections', (t) => {
  const points = results.map((result, index) => testPoint(index + 1, requirements[index] as Requirement, result));
  const text = ['TAP version 14', ...subtest(1, 'runtime 1', { points, isOk: false }), '1..1', ''].join('\n');
  const [, child] = (Parser.parse(text) as [string, unknown][]).find(([kind]) => kind === 'child') ?? [];
  const asserts = (child as [string, unknown][]).filter(([kind]) => kind === 'assert').map(([, value]) => value);
  t.match(asserts, [
    { ok: true, name: 'kill.a: a # and a \\', diag: { section: 'runtime.md, Kill', level: 'MUST' }, time: 1 },
    { ok: false, name: 'kill.b: b', diag: { message: 'the <b>', wanted: '1', found: '{"a":"|"}', says: 'It is so.' } },
    { ok: true, skip: 'no kernel', diag: { level: 'SHOULD' } },
    { ok: false, todo: 'disputed: one may doubt it' },
  ]);
  t.end();
});

t.test('markdownReport() and htmlReport() show every result, and nothing of it is markup', (t) => {
  const report = { date: new Date('2026-01-02T03:04:05Z'), kernel: 'Linux 6.1', runtimes: [runtime, runtime] };
  const markdown = markdownReport(report, requirements);
  t.match(markdown, '2026-01-02, Linux 6.1, 4 requirements');
  t.match(markdown, '| runtime 1 | 1 | 1 | 1 | 1 | a note |');
  t.match(markdown, '| `kill.b` b | runtime.md, Kill | MUST | FAIL | FAIL |');
  t.match(markdown, '- `kill.b`: the &lt;b>: wanted 1, found {"a":"\\|"} (runtime.md, Kill: It is so.)');
  t.match(markdown, '- `kill.d`: one may doubt it');
  const html = htmlReport(report, requirements);
  t.match(html, 'the &lt;b&gt;');
  t.notMatch(html, /<b>|<script|src=|href=/, 'a page on its own');
  t.equal(html.match(/class="fail"/g)?.length, 2);
  t.end();
});
