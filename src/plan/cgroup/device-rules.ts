import type { DeviceRule } from '../../spec/generated/config.ts';

/** config-linux.md, "Allowed Device list": the rules in one form for cgroup v1 and v2. */

/** Bits of an access: `m`, `r`, `w`. The values are BPF_DEVCG_ACC_* of include/uapi/linux/bpf.h. */
export const ACCESS_MKNOD = 1;
/** Reading; see ACCESS_MKNOD. */
export const ACCESS_READ = 2;
/** Writing; see ACCESS_MKNOD. */
export const ACCESS_WRITE = 4;
/** Every access. */
export const ACCESS_ALL = ACCESS_MKNOD | ACCESS_READ | ACCESS_WRITE;

const ACCESS_BITS: Readonly<Record<string, number>> = { m: ACCESS_MKNOD, r: ACCESS_READ, w: ACCESS_WRITE };

/** Block or character device. */
export type DeviceKind = 'b' | 'c';

/** One rule; a missing part matches anything. */
export interface DevicePattern {
  readonly allow: boolean;
  readonly kind?: DeviceKind;
  readonly major?: number;
  readonly minor?: number;
  /** Bits of ACCESS_*, not 0. */
  readonly access: number;
}

const RWM = ACCESS_ALL;
const character = (major: number, minor?: number): DevicePattern => {
  return { allow: true, kind: 'c', major, ...(minor === undefined ? {} : { minor }), access: RWM };
};

/**
 * What every container may do, appended behind the user's rules so that they cannot be taken away: make any node, and use the
 * default devices, terminals and tun. Source: runc (specconv.AllowedDevices); 10:200 is what VPN containers rely on.
 */
export const DEFAULT_DEVICE_RULES: readonly DevicePattern[] = [
  { allow: true, kind: 'c', access: ACCESS_MKNOD },
  { allow: true, kind: 'b', access: ACCESS_MKNOD },
  character(1, 3), // null
  character(1, 8), // random
  character(1, 7), // full
  character(5, 0), // tty
  character(1, 5), // zero
  character(1, 9), // urandom
  character(136), // pts/*
  character(5, 2), // ptmx
  character(10, 200), // net/tun
];

/**
 * The complete list for a container: the user's rules, then the defaults. What no rule matches is denied, whatever the cgroup
 * above allows (as in runc), so that a config without rules is the strictest one.
 */
export function collectDeviceRules(rules: readonly DeviceRule[]): DevicePattern[] {
  const patterns = rules.flatMap(normalizeRule);
  return dropShadowed([...patterns, ...DEFAULT_DEVICE_RULES]);
}

/** True for a rule that decides about every access to every device. */
export function matchesEverything(rule: DevicePattern): boolean {
  return rule.kind === undefined && rule.major === undefined && rule.minor === undefined && rule.access === ACCESS_ALL;
}

/** `c 1:3 rwm`, as the files of the v1 controller spell it. */
export function printDevicePattern(rule: DevicePattern): string {
  const access = Object.keys(ACCESS_BITS).filter((letter) => (rule.access & (ACCESS_BITS[letter] ?? 0)) !== 0);
  const order = [...access].sort((a, b) => 'rwm'.indexOf(a) - 'rwm'.indexOf(b));
  return `${rule.kind ?? 'a'} ${rule.major ?? '*'}:${rule.minor ?? '*'} ${order.join('')}`;
}

/** A rule without access decides nothing and disappears. */
function normalizeRule(rule: DeviceRule): DevicePattern[] {
  const kind = rule.type === undefined || rule.type === '' || rule.type === 'a' ? undefined : rule.type;
  let access = 0;
  for (const letter of rule.access ?? '') {
    access |= ACCESS_BITS[letter] ?? 0;
  }
  if (access === 0) return [];
  const major = rule.major === undefined || rule.major === -1 ? {} : { major: rule.major };
  const minor = rule.minor === undefined || rule.minor === -1 ? {} : { minor: rule.minor };
  return [{ allow: rule.allow, ...(kind === undefined ? {} : { kind }), ...major, ...minor, access }];
}

/** Rules before the last one that matches everything have no say. */
function dropShadowed(rules: readonly DevicePattern[]): DevicePattern[] {
  return rules.slice(Math.max(0, rules.findLastIndex(matchesEverything)));
}
