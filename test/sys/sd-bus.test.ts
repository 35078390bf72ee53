import t from 'tap';
import { splitSignature } from '../../src/sys/sd-bus.ts';

t.test('splitSignature() gives the complete types', (t) => {
  const cases: [string, string[]][] = [
    ['', []],
    ['s', ['s']],
    ['ssa(sv)a(sa(sv))', ['s', 's', 'a(sv)', 'a(sa(sv))']],
    ['sba(sv)', ['s', 'b', 'a(sv)']],
    ['aas(i(u)x)t', ['aas', '(i(u)x)', 't']],
  ];
  for (const [signature, types] of cases) t.strictSame(splitSignature(signature), types, signature);
  t.end();
});
