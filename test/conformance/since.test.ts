import t from 'tap';
import { isBefore, judge } from '../../conformance/harness/since.ts';

const failure = { kind: 'fail', what: 'w', wanted: 'a', found: 'b' } as const;

t.test('isBefore() compares versions by their numbers', (t) => {
  t.ok(isBefore('1.0.2-dev', '1.1.0'));
  t.ok(isBefore('1.9.0', '1.10.0'));
  t.notOk(isBefore('1.1.0', '1.1.0'));
  t.notOk(isBefore('1.1.0+dev', '1.0.2'));
  t.notOk(isBefore('2.0.0', '1.3.0'));
  t.end();
});

t.test('judge() passes over a failure of what came later than the runtime', (t) => {
  t.match(judge({ since: '1.1.0' }, failure, '1.0.2-dev'), { kind: 'skip', reason: /since 1\.1\.0.*1\.0\.2-dev/ });
  t.same(judge({ since: '1.1.0' }, { kind: 'pass' }, '1.0.0'), { kind: 'pass' }, 'what passes has passed');
  t.end();
});

t.test('judge() leaves every other failure one', (t) => {
  t.equal(judge({ since: '1.1.0' }, failure, '1.1.0'), failure, 'a runtime of that version');
  t.equal(judge({}, failure, '1.0.0'), failure, 'what was always there');
  t.equal(judge({ since: '1.1.0' }, failure, ''), failure, 'a runtime that names no version');
  t.end();
});
