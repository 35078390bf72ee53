import { constants } from 'node:os';
import t from 'tap';
import { parseSignal, SIGNALS } from '../../src/util/signals.ts';

t.test('SIGNALS has the numbers of this machine', (t) => {
  const here = constants.signals as Record<string, number | undefined>;
  for (const [name, number] of Object.entries(SIGNALS)) {
    const expected = here[`SIG${name}`];
    if (expected !== undefined) t.equal(number, expected, name);
  }
  t.end();
});

t.test('parseSignal() takes names and numbers', (t) => {
  const rows = [
    ['TERM', 15],
    ['SIGTERM', 15],
    ['term', 15],
    ['sigKill', 9],
    ['15', 15],
    ['0', 0],
    ['28', 28],
    ['64', 64],
    ['RTMIN', 34],
    ['SIGRTMIN+3', 37],
    ['RTMAX', 64],
    ['rtmax-2', 62],
  ] as const;
  for (const [text, number] of rows) t.equal(parseSignal(text), number, text);
  t.end();
});

t.test('parseSignal() refuses everything else', (t) => {
  const rows = [
    '',
    'SIG',
    'SIGSIGTERM',
    'FOO',
    '-1',
    '-9',
    '65',
    '1.5',
    '0x9',
    ' 9',
    '9 ',
    '015x',
    'RTMIN-1',
    'RTMAX+1',
  ];
  rows.push('RTMIN+31', 'RTMAX-31', 'RTMIN+', 'RTMAX-', 'TERM\n', 'constructor', '__proto__');
  for (const text of rows) t.equal(parseSignal(text), undefined, text);
  t.end();
});
