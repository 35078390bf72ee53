import { matchesEverything, printDevicePattern, type DevicePattern } from '../device-rules.ts';
import type { UnitProperty } from './properties.ts';

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
