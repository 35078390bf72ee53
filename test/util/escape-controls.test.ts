import t from 'tap';
import { escapeControls } from '../../src/util/escape-controls.ts';

t.test('escapeControls() leaves nothing that steers a terminal', (t) => {
  const all = Array.from({ length: 0x100 }, (_, code) => String.fromCharCode(code)).join('');
  t.notMatch(escapeControls(all, { lines: true }), /[\u0000-\u001f\u007f-\u009f]/);
  t.equal(escapeControls('a\nb\u001b[2J ä'), 'a\nb\\x1b[2J ä');
  t.equal(escapeControls('a\nb', { lines: true }), 'a\\x0ab');
  t.end();
});
