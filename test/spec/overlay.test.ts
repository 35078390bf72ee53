import t from 'tap';
import { LOWERS_MAX, readOverlay } from '../../src/spec/overlay.ts';

const read = (text: string) => readOverlay({ 'run.tsrun.overlay': text });

t.test('readOverlay() reads what a layer is asked for with', (t) => {
  t.equal(readOverlay({}), undefined);
  t.equal(readOverlay(undefined), undefined);
  t.strictSame(read('true'), { lowers: [] });
  t.strictSame(read('{}'), { lowers: [] });
  t.strictSame(read('{"directory": "/d", "lower": ["/a,b:c", "/b"]}'), { directory: '/d', lowers: ['/a,b:c', '/b'] });
  t.end();
});

t.test('readOverlay() says what is wrong', (t) => {
  const rows: Readonly<Record<string, RegExp>> = {
    '': /is "", wanted true, or JSON such as/,
    false: /wanted true/,
    '[]': /wanted true/,
    null: /wanted true/,
    '{"upper": "/x"}': /has "upper", wanted directory and lower/,
    '{"directory": "x"}': /"directory" that is no absolute path/,
    '{"directory": "/x\\u0000"}': /"directory" that is no absolute path/,
    '{"lower": "/x"}': /"lower" that is no list/,
    '{"lower": ["x"]}': /"lower" that is no list/,
    [JSON.stringify({ lower: Array.from({ length: LOWERS_MAX + 1 }, () => '/x') })]:
      /has 97 lower directories, wanted at most 96/,
  };
  for (const [text, wanted] of Object.entries(rows)) t.match(read(text), wanted, text.slice(0, 40));
  t.end();
});
