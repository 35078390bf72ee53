import fc from 'fast-check';
import t from 'tap';
import { collectDeviceRules, printDevicePattern, type DevicePattern } from '../../../src/plan/cgroup/device-rules.ts';
import { Problems } from '../../../src/plan/cgroup/problems.ts';
import { planDevicesV1 } from '../../../src/plan/cgroup/controllers/devices.ts';
import { evaluateRules } from './ebpf.ts';

function lines(rules: readonly DevicePattern[]): string[] {
  const problems = new Problems();
  const writes = planDevicesV1(rules, { directory: 0 }, problems);
  problems.throwIfAny();
  return writes.map((write) =>
    write.kind === 'value' ? `${write.file.replace('devices.', '')} ${write.value}` : write.kind,
  );
}

const denyAll: DevicePattern = { allow: false, access: 7 };
const allowAll: DevicePattern = { allow: true, access: 7 };

t.test('planDevicesV1() writes the default first, then the exceptions that are left', (t) => {
  t.strictSame(
    lines([denyAll, { allow: true, kind: 'c', major: 1, access: 2 }, { allow: true, kind: 'c', major: 1, access: 4 }]),
    ['deny a', 'allow c 1:* rw'],
  );
  t.strictSame(lines([]), ['deny a']);
  t.strictSame(lines([allowAll, { allow: false, kind: 'b', major: 8, minor: 0, access: 4 }]), [
    'allow a',
    'deny b 8:0 w',
  ]);
  t.strictSame(
    lines([denyAll, { allow: true, major: 5, access: 2 }]),
    ['deny a', 'allow b 5:* r', 'allow c 5:* r'],
    'a is both kinds',
  );
  t.end();
});

t.test('planDevicesV1() takes back what an earlier rule gave', (t) => {
  const null_ = { kind: 'c', major: 1, minor: 3 } as const;
  t.strictSame(
    lines([
      { allow: true, ...null_, access: 7 },
      { allow: false, ...null_, access: 4 },
    ]),
    ['deny a', 'allow c 1:3 rm'],
  );
  t.strictSame(
    lines([
      { allow: true, ...null_, access: 7 },
      { allow: false, kind: 'c', access: 7 },
    ]),
    ['deny a'],
  );
  t.end();
});

t.test('planDevicesV1() refuses what the controller cannot hold', (t) => {
  t.throws(
    () =>
      lines([
        { allow: true, kind: 'c', major: 1, access: 7 },
        { allow: false, kind: 'c', major: 1, minor: 3, access: 4 },
      ]),
    {
      code: 'unsupported',
      issues: [{ message: 'cgroup v1 cannot make an exception "c 1:3 w" from "c 1:* rwm"' }],
    },
  );
  t.end();
});

t.test('planDevicesV1() adds the default rules to a deny-all', (t) => {
  t.strictSame(lines(collectDeviceRules([{ allow: false, access: 'rwm' }])), [
    'deny a',
    'allow c *:* m',
    'allow b *:* m',
    ...['1:3', '1:8', '1:7', '5:0', '1:5', '1:9', '136:*', '5:2', '10:200'].map((device) => `allow c ${device} rwm`),
  ]);
  t.strictSame(lines(collectDeviceRules([{ allow: true, access: 'rwm' }])), ['allow a']);
  t.end();
});

t.test('planDevicesV1() never allows what the rules deny', (t) => {
  const number = fc.option(fc.constantFrom(1, 2), { nil: undefined });
  const rule = fc.record({
    allow: fc.boolean(),
    kind: fc.constantFrom('b' as const, 'c' as const),
    major: number,
    minor: number,
    access: fc.integer({ min: 1, max: 7 }),
  });
  const clean = rule.map(({ major, minor, ...rest }): DevicePattern => {
    return { ...rest, ...(major === undefined ? {} : { major }), ...(minor === undefined ? {} : { minor }) };
  });
  fc.assert(
    fc.property(
      fc.array(clean, { maxLength: 6 }),
      fc.constantFrom('b' as const, 'c' as const),
      fc.constantFrom(1, 2, 3),
      fc.constantFrom(1, 2, 3),
      fc.constantFrom(1, 2, 4),
      (rules, kind, major, minor, access) => {
        const problems = new Problems();
        const writes = planDevicesV1(rules, { directory: 0 }, problems);
        try {
          problems.throwIfAny();
        } catch {
          return true;
        }
        const allowed = writes.some(
          (write) =>
            write.kind === 'value' &&
            write.file === 'devices.allow' &&
            meets(write.value, { kind, major, minor, access }),
        );
        return allowed === evaluateRules(rules, { kind, major, minor, access });
      },
    ),
    { numRuns: 2000 },
  );
  t.pass('one bit at a time the controller and the rules agree');
  t.end();
});

function meets(line: string, request: { kind: string; major: number; minor: number; access: number }): boolean {
  const [kind, device, letters] = line.split(' ');
  const [major, minor] = (device ?? '').split(':');
  const letter = { 1: 'm', 2: 'r', 4: 'w' }[request.access] ?? '?';
  const is = (part: string | undefined, value: number): boolean => part === '*' || part === String(value);
  return (
    kind === request.kind && is(major, request.major) && is(minor, request.minor) && (letters ?? '').includes(letter)
  );
}

t.test('printDevicePattern() spells a rule as the controller does', (t) => {
  t.equal(printDevicePattern({ allow: true, access: 7 }), 'a *:* rwm');
  t.equal(printDevicePattern({ allow: true, kind: 'b', major: 8, access: 5 }), 'b 8:* wm');
  t.end();
});
