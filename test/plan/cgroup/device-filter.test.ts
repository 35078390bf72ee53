import fc from 'fast-check';
import t from 'tap';
import { planDeviceFilter } from '../../../src/plan/cgroup/device-filter.ts';
import { collectDeviceRules, type DevicePattern } from '../../../src/plan/cgroup/device-rules.ts';
import { evaluateRules, findUnreachable, runDeviceProgram, type DeviceRequest } from './ebpf.ts';

/** Few numbers, so that rules and requests meet often. */
const number = fc.constantFrom(0, 1, 3, 136, 0xffff_ffff);
const rule: fc.Arbitrary<DevicePattern> = fc
  .record({
    allow: fc.boolean(),
    kind: fc.option(fc.constantFrom('b' as const, 'c' as const), { nil: undefined }),
    major: fc.option(number, { nil: undefined }),
    minor: fc.option(number, { nil: undefined }),
    access: fc.integer({ min: 1, max: 7 }),
  })
  .map(({ allow, kind, major, minor, access }) => ({
    allow,
    access,
    ...(kind === undefined ? {} : { kind }),
    ...(major === undefined ? {} : { major }),
    ...(minor === undefined ? {} : { minor }),
  }));
const request: fc.Arbitrary<DeviceRequest> = fc.record({
  kind: fc.constantFrom('b' as const, 'c' as const),
  major: number,
  minor: number,
  access: fc.integer({ min: 0, max: 7 }),
});

t.test('planDeviceFilter() decides as the rules say, whatever the rules', (t) => {
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 12 }),
      fc.array(request, { minLength: 1, maxLength: 20 }),
      (rules, requests) => {
        const { program, listing } = planDeviceFilter(rules);
        if (listing.length * 8 !== program.length) throw new Error('the listing has another length');
        const unreachable = findUnreachable(program);
        if (unreachable.length > 0) throw new Error(`unreachable: ${unreachable.join()}`);
        return requests.every((one) => runDeviceProgram(program, one) === evaluateRules(rules, one));
      },
    ),
    { numRuns: 2000 },
  );
  t.pass('agrees with the plain evaluator');
  t.end();
});

t.test('planDeviceFilter() denies everything without rules', (t) => {
  const { program } = planDeviceFilter([]);
  t.notOk(runDeviceProgram(program, { kind: 'c', major: 1, minor: 3, access: 2 }));
  t.ok(
    runDeviceProgram(program, { kind: 'c', major: 1, minor: 3, access: 0 }),
    'but not to look whether a node is there',
  );
  t.end();
});

t.test('planDeviceFilter() lists its instructions with the rule behind them', (t) => {
  const { listing } = planDeviceFilter([
    { allow: false, access: 7 },
    { allow: true, kind: 'c', major: 1, minor: 3, access: 6 },
  ]);
  t.strictSame(listing, [
    '   0: r2 = *(u32 *)(r1 + 0)          ; load the request',
    '   1: r3 = r2',
    '   2: r2 &= 0xffff',
    '   3: r3 >>= 16',
    '   4: r4 = *(u32 *)(r1 + 4)',
    '   5: r5 = *(u32 *)(r1 + 8)',
    '   6: if w3 != 0 goto +2',
    '   7: r0 = 1',
    '   8: exit',
    '   9: if w2 != 2 goto +6             ; allow c 1:3 rw',
    '  10: if w4 != 1 goto +5',
    '  11: if w5 != 3 goto +4',
    '  12: r3 &= ~6',
    '  13: if w3 != 0 goto +2',
    '  14: r0 = 1',
    '  15: exit',
    '  16: r0 = 0                         ; deny a *:* rwm',
    '  17: exit',
  ]);
  t.end();
});

t.test('collectDeviceRules() appends rules that cannot be taken away', (t) => {
  const rules = collectDeviceRules([
    { allow: false, access: 'rwm' },
    { allow: false, type: 'c', major: 1, minor: 3, access: 'rwm' },
  ]);
  t.ok(evaluateRules(rules, { kind: 'c', major: 1, minor: 3, access: 6 }), '/dev/null can be opened');
  t.ok(evaluateRules(rules, { kind: 'b', major: 8, minor: 0, access: 1 }), 'any node can be made');
  t.notOk(evaluateRules(rules, { kind: 'b', major: 8, minor: 0, access: 2 }), 'but not read');
  t.notOk(
    evaluateRules(collectDeviceRules([]), { kind: 'b', major: 8, minor: 0, access: 2 }),
    'denied without rules too',
  );
  t.end();
});

t.test('collectDeviceRules() reads every spelling of "any" and drops rules without access', (t) => {
  const first = (...rules: Parameters<typeof collectDeviceRules>[0]): DevicePattern | undefined =>
    collectDeviceRules(rules)[0];
  t.strictSame(first({ allow: true, access: 'mwr' }), { allow: true, access: 7 });
  t.strictSame(first({ allow: true, type: '', major: -1, minor: -1, access: 'rwm' }), { allow: true, access: 7 });
  t.strictSame(first({ allow: true, type: 'a', major: 5, access: 'r' }), { allow: true, major: 5, access: 2 });
  t.match(first({ allow: true, type: 'b', major: 5 }), { kind: 'c', access: 1 }, 'the first default instead');
  t.end();
});
