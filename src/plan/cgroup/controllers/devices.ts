import type { Problems } from '../problems.ts';
import { matchesEverything, printDevicePattern, type DeviceKind, type DevicePattern } from '../device-rules.ts';
import type { UnitProperty } from '../unit-property.ts';
import type { CgroupWrite, ControllerPlace } from '../writes.ts';

/**
 * config-linux.md, "Allowed Device list". No table of controllers has it, since its rules come last, updates never touch them, and
 * what cgroup v2 has in its place is an eBPF program (device-filter.ts). What is asked for is in device-rules.ts.
 */

const POINTER = '/linux/resources/devices';

/** What the v1 controller holds: a default and a list of exceptions from it, keyed by `kind major:minor`. */
interface DeviceState {
  allow: boolean;
  exceptions: Map<string, DevicePattern>;
}

/**
 * The writes that bring the v1 devices controller from any state into the one that the rules describe.
 *
 * The controller cannot hold "all of these but one", and accepts such a line without a word: a rule that would need it is reported
 * as unsupported (runc: "cannot punch hole in existing wildcard rule").
 */
export function planDevicesV1(
  rules: readonly DevicePattern[],
  place: ControllerPlace,
  problems: Problems,
): CgroupWrite[] {
  const state: DeviceState = { allow: false, exceptions: new Map() };
  for (const rule of rules) {
    if (matchesEverything(rule)) {
      state.allow = rule.allow;
      state.exceptions.clear();
      continue;
    }
    const kinds: DeviceKind[] = rule.kind === undefined ? ['b', 'c'] : [rule.kind];
    for (const kind of kinds) applyRule(state, { ...rule, kind }, problems);
  }
  const write = (allow: boolean, value: string): CgroupWrite => {
    const verb = allow ? 'allow' : 'deny';
    return { kind: 'value', ...place, file: `devices.${verb}`, value, label: `${verb} devices`, pointer: POINTER };
  };
  // "a" drops every exception, inherited ones too, and sets the default.
  const lines = [...state.exceptions.values()].map((rule) => write(rule.allow, printDevicePattern(rule)));
  return [write(state.allow, 'a'), ...lines];
}

function applyRule(state: DeviceState, rule: DevicePattern, problems: Problems): void {
  if (rule.allow !== state.allow) {
    const key = keyOf(rule);
    const known = state.exceptions.get(key);
    state.exceptions.set(key, { ...rule, access: rule.access | (known?.access ?? 0) });
    return;
  }
  for (const [key, exception] of state.exceptions) {
    const rest = exception.access & ~rule.access;
    if (rest === exception.access || !overlaps(rule, exception)) continue;
    if (!covers(rule, exception)) {
      const message = `cgroup v1 cannot make an exception ${JSON.stringify(printDevicePattern(rule))} from ${JSON.stringify(printDevicePattern(exception))}`;
      problems.unsupported(POINTER, message);
    } else if (rest === 0) state.exceptions.delete(key);
    else state.exceptions.set(key, { ...exception, access: rest });
  }
}

function keyOf(rule: DevicePattern): string {
  return `${rule.kind ?? 'a'} ${rule.major ?? '*'}:${rule.minor ?? '*'}`;
}

function overlaps(a: DevicePattern, b: DevicePattern): boolean {
  const meets = (x: unknown, y: unknown): boolean => x === undefined || y === undefined || x === y;
  return meets(a.kind, b.kind) && meets(a.major, b.major) && meets(a.minor, b.minor);
}

function covers(outer: DevicePattern, inner: DevicePattern): boolean {
  const holds = (x: unknown, y: unknown): boolean => x === undefined || x === y;
  return holds(outer.kind, inner.kind) && holds(outer.major, inner.major) && holds(outer.minor, inner.minor);
}

/**
 * The device rules as far as systemd can say them: DeviceAllow is a list of what is allowed beside nothing.
 *
 * systemd's filter and tsrun's own both have to agree to an access, so that the list may be wider than the rules, never narrower: an
 * exception from a wider permission is left out of it, and a pattern that it cannot say (`c *:3`) widens it to the whole kind.
 */
export function planDeviceProperties(rules: readonly DevicePattern[]): UnitProperty[] {
  const allowsEverything = rules.some((rule) => rule.allow && matchesEverything(rule));
  if (allowsEverything) return [{ name: 'DevicePolicy', signature: 's', value: 'auto' }];
  const entries = rules.filter(({ allow }) => allow).flatMap(describe);
  const unique = [...new Map(entries.map((entry) => [entry.join(' '), entry])).values()];
  return [
    { name: 'DevicePolicy', signature: 's', value: 'strict' },
    { name: 'DeviceAllow', signature: 'a(ss)', value: unique },
  ];
}

function describe(rule: DevicePattern): [string, string][] {
  const access = printDevicePattern(rule).split(' ').at(-1) ?? '';
  const kinds = rule.kind === undefined ? (['c', 'b'] as const) : [rule.kind];
  return kinds.map((kind) => {
    const group = kind === 'c' ? 'char' : 'block';
    if (rule.major === undefined) return [`${group}-*`, access];
    // The number of a major is taken in the place of its name since version 240.
    if (rule.minor === undefined) return [`${group}-${rule.major}`, access];
    return [`/dev/${group}/${rule.major}:${rule.minor}`, access];
  });
}
