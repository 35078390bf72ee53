import { TsrunError } from '../../errors.ts';

/** A version of CRIU. */
export interface CriuVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** What not every CRIU can do -> the first version that can, and what to call it. */
export const CRIU_NEEDS = {
  rpc: { what: 'saving and restoring', major: 3, minor: 0 },
  'external-net': { what: 'a network namespace that is joined by path', major: 3, minor: 11 },
  'freeze-v2': { what: 'stopping a cgroup of cgroup v2', major: 3, minor: 14 },
  'external-pid': { what: 'a pid namespace that is joined by path', major: 3, minor: 15 },
  'status-ready': { what: 'telling of lazy pages', major: 3, minor: 15 },
  'lsm-profile': { what: '"--lsm-profile"', major: 3, minor: 16 },
  'lsm-mount-context': { what: '"--lsm-mount-context"', major: 3, minor: 16 },
  'network-lock': { what: '"--network-lock"', major: 3, minor: 16 },
} as const;

/** One of them. */
export type CriuNeed = keyof typeof CRIU_NEEDS;

/** Whether a CRIU can do it. */
export function canDo({ major, minor }: CriuVersion, need: CriuNeed): boolean {
  const wanted = CRIU_NEEDS[need];
  return major > wanted.major || (major === wanted.major && minor >= wanted.minor);
}

/** Errors: `unsupported` where a CRIU cannot do it. */
export function requireVersion(version: CriuVersion, need: CriuNeed): void {
  if (canDo(version, need)) return;
  const { what, major, minor } = CRIU_NEEDS[need];
  throw new TsrunError(
    'unsupported',
    `use CRIU ${describeVersion(version)} for ${what}: it is too old, wanted ${major}.${minor} or newer; install a newer criu`,
  );
}

/** As people write it. */
export function describeVersion({ major, minor, patch }: CriuVersion): string {
  return patch === 0 ? `${major}.${minor}` : `${major}.${minor}.${patch}`;
}
