import t from 'tap';
import { prependEnosys } from '../../../src/plan/seccomp/enosys.ts';
import { runBpf } from '../../seccomp/run-bpf.ts';

const X86_64 = 0xc000003e;
const X86 = 0x40000003;
const X32 = 0x4000003e;
const AARCH64 = 0xc00000b7;
const ENOSYS = 0x50026;
const OWN = 0x7fff0000;
/** A filter that answers OWN to everything. */
const filter = new Uint8Array([6, 0, 0, 0, 0, 0, 0xff, 0x7f]);

t.test('prependEnosys() answers for numbers above the last one of each architecture', (t) => {
  const program = prependEnosys(filter, [
    { token: X86_64, number: 300 },
    { token: X86, number: 400 },
    { token: X32, number: 0x40000000 + 500 },
    { token: AARCH64, number: 200 },
  ]);
  const rows: [arch: number, number: number, wanted: number][] = [
    [X86_64, 0, OWN],
    [X86_64, 300, OWN],
    [X86_64, 301, ENOSYS],
    [X86_64, 0x3fffffff, ENOSYS],
    [X86_64, 0x40000000, OWN],
    [X86_64, 0x40000000 + 500, OWN],
    [X86_64, 0x40000000 + 501, ENOSYS],
    [X86_64, 0xffffffff, ENOSYS],
    [X86, 400, OWN],
    [X86, 401, ENOSYS],
    [AARCH64, 200, OWN],
    [AARCH64, 201, ENOSYS],
    [0x16, 9999, OWN],
  ];
  for (const [arch, number, wanted] of rows)
    t.equal(runBpf(program, { arch, number }), wanted, `0x${arch.toString(16)} ${number}`);
  t.end();
});

t.test('prependEnosys() leaves x32 calls to the filter when the profile has no x32, and the other way round', (t) => {
  const plain = prependEnosys(filter, [{ token: X86_64, number: 300 }]);
  t.equal(runBpf(plain, { arch: X86_64, number: 301 }), ENOSYS);
  t.equal(runBpf(plain, { arch: X86_64, number: 0x40000000 + 301 }), OWN);
  const only = prependEnosys(filter, [{ token: X32, number: 0x40000000 + 300 }]);
  t.equal(runBpf(only, { arch: X86_64, number: 301 }), OWN);
  t.equal(runBpf(only, { arch: X86_64, number: 0x40000000 + 301 }), ENOSYS);
  t.end();
});

t.test('prependEnosys() changes nothing when there is nothing to know', (t) => {
  t.equal(prependEnosys(filter, []), filter);
  t.end();
});
