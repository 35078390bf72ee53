import t from 'tap';
import { formatListIds, formatListJson, formatListTable, formatState } from '../../src/cli/output.ts';
import { status } from './fixtures.ts';

t.test("formatState() is runc's document", (t) => {
  const expected = `{
  "ociVersion": "1.3.0",
  "id": "web",
  "pid": 42,
  "status": "running",
  "bundle": "/bundles/web",
  "rootfs": "/bundles/web/rootfs",
  "created": "2026-01-31T12:00:00.123456789Z",
  "annotations": {
    "a": "b"
  },
  "owner": ""
}
`;
  t.equal(formatState({ ...status, annotations: { a: 'b' } }), expected);
  t.notMatch(formatState({ ...status, annotations: {} }), 'annotations');
  t.end();
});

t.test('formatListJson() is one line, with the owner', (t) => {
  const text = formatListJson([status, { ...status, id: 'db', annotations: { a: 'b' } }]);
  t.match(text, /^\[\{"ociVersion":"1\.3\.0","id":"web","pid":42,.*"owner":"root"\}\]\n$/);
  t.strictSame(JSON.parse(text), [status, { ...status, id: 'db', annotations: { a: 'b' } }]);
  t.equal(formatListJson([]), 'null\n');
  t.end();
});

t.test('formatListTable() lays out columns as runc does', (t) => {
  const stopped = { ...status, id: 'a-rather-long-name', pid: 0, status: 'stopped' as const, owner: '#1000' };
  const expected = [
    'ID                   PID         STATUS      BUNDLE         CREATED                          OWNER',
    'web                  42          running     /bundles/web   2026-01-31T12:00:00.123456789Z   root',
    'a-rather-long-name   0           stopped     /bundles/web   2026-01-31T12:00:00.123456789Z   #1000',
    '',
  ];
  t.strictSame(formatListTable([status, stopped]).split('\n'), expected);
  t.equal(formatListTable([]), 'ID          PID         STATUS      BUNDLE      CREATED     OWNER\n');
  t.end();
});

t.test('formatListTable() lets no path steer the terminal', (t) => {
  const text = formatListTable([{ ...status, bundle: '/a\n\u001b[2J\u{1f4e6}' }]);
  t.match(text, ' /a\\x0a\\x1b[2J\u{1f4e6}   2026-');
  t.equal(text.split('\n').length, 3);
  t.end();
});

t.test('formatListIds() is an id a line', (t) => {
  t.equal(formatListIds([status, { ...status, id: 'db' }]), 'web\ndb\n');
  t.equal(formatListIds([]), '');
  t.end();
});
