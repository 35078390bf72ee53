import t from 'tap';
import { selectLines } from '../../src/container/ps.ts';

t.test('selectLines() keeps the heading and the lines of the pids', (t) => {
  const table = ['UID   PID PPID CMD', 'root    7    1 a 8', 'root    8    7 b', 'root   77    1 c', ''].join('\n');
  t.equal(selectLines(table, [7, 77]), 'UID   PID PPID CMD\nroot    7    1 a 8\nroot   77    1 c\n');
  t.equal(selectLines(table, []), 'UID   PID PPID CMD\n');
  t.equal(selectLines('  PID TTY\n    8 ?\n    9 ?', [9]), '  PID TTY\n    9 ?\n');
  t.end();
});

t.test('selectLines() refuses a table that does not tell the pids', (t) => {
  for (const table of ['', 'UID CMD\nroot 7\n']) {
    t.throws(() => selectLines(table, [7]), { code: 'host', message: /no column PID in/ }, table);
  }
  t.end();
});
