import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { CALLS, type Arch } from '../../src/program/calls.ts';

const X86_HEADER = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h';
const GENERIC_HEADER = '/usr/include/asm-generic/unistd.h';

for (const [arch, header] of [
  ['x86-64', X86_HEADER],
  ['arm64', GENERIC_HEADER],
] as const satisfies readonly (readonly [Arch, string])[]) {
  t.test(`CALLS has the numbers of ${arch}`, { skip: existsSync(header) ? false : `${header} is missing` }, (t) => {
    const text = readFileSync(header, 'utf8');
    const numbers = new Map(
      [...text.matchAll(/^#define __NR(?:3264)?_(\w+)\s+(\d+)/gm)].map(([, name, value]) => [name, Number(value)]),
    );
    for (const [name, info] of Object.entries(CALLS)) t.equal(info[arch], numbers.get(name), name);
    t.end();
  });
}

t.test('CALLS has at most six parameters and no number twice', (t) => {
  for (const { parameters } of Object.values(CALLS)) t.ok(parameters.length <= 6);
  for (const arch of ['x86-64', 'arm64'] as const)
    t.equal(new Set(Object.values(CALLS).map((info) => info[arch])).size, Object.keys(CALLS).length);
  t.end();
});
