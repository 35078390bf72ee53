import type { Integer } from './values.ts';

/** A property of a unit, as org.freedesktop.systemd1 takes it. Source: man 5 org.freedesktop.systemd1. */
export interface UnitProperty {
  readonly name: string;
  /** D-Bus signature of the value: `t` is a 64-bit number, `ay` bytes, `a(ss)` pairs of strings. */
  readonly signature: string;
  readonly value: UnitValue;
  /** Version of systemd that has it; an older one keeps the value that is written into the cgroup. */
  readonly since?: number;
}

/** A value on D-Bus, as deep as its signature says. */
export type UnitValue = string | boolean | number | bigint | readonly UnitValue[];

/** CGROUP_LIMIT_MAX and USEC_INFINITY. */
export const INFINITY = 0xffff_ffff_ffff_ffffn;

/** A property that is a number of 64 bits; `since` is the version of systemd that has it. */
export function numberProperty(name: string, value: bigint, since?: number): UnitProperty {
  return { name, signature: 't', value, ...(since === undefined ? {} : { since }) };
}

/** A limit; negative is none. */
export function limitProperty(name: string, value: Integer): UnitProperty {
  return numberProperty(name, BigInt(value) < 0n ? INFINITY : BigInt(value));
}
