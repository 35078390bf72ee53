import { call } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import type { Process, RlimitType } from '../../spec/generated/config.ts';
import type { OpenFilesLimit } from '../base/facts.ts';
import { pointerTo } from '../../spec/pointer.ts';
import { rlimit64 } from '../../program/structs.ts';

/** One prlimit(2) that the parent makes on the container's process. */
export interface RlimitSetting {
  /** RLIMIT_* of include/uapi/asm-generic/resource.h. */
  readonly resource: number;
  /** 2^64 - 1 is unlimited. */
  readonly soft: bigint;
  readonly hard: bigint;
  /** What is being done, for the failure message. */
  readonly label: string;
  readonly pointer: string;
}

/** The same on x86-64 and arm64. */
const RESOURCES: Readonly<Record<RlimitType, number>> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
};

/** Descriptors that the set-up itself needs; a lower RLIMIT_NOFILE waits until it is done. */
const SETUP_NOFILE = 64n;

/**
 * config.md, "POSIX process": `rlimits`, in their order.
 *
 * The parent sets them from outside as soon as the process exists and is still root: then the process's own rights do not
 * matter, and the parent may raise a hard limit where the container's root may not.
 */
export function planRlimits({ rlimits = [] }: Process, openFiles?: OpenFilesLimit): RlimitSetting[] {
  const settings = rlimits.map(({ type, soft, hard }, index) => {
    const resource = RESOURCES[type];
    const least = resource === RESOURCES.RLIMIT_NOFILE ? SETUP_NOFILE : 0n;
    return {
      resource,
      soft: atLeast(BigInt(soft), least),
      hard: atLeast(BigInt(hard), least),
      label: `set ${type} to ${soft}:${hard}`,
      pointer: pointerTo('/process/rlimits', index),
    };
  });
  if (openFiles === undefined || rlimits.some(({ type }) => type === 'RLIMIT_NOFILE')) return settings;
  return [...settings, planCallersOpenFiles(openFiles)];
}

/** The limit of whoever called tsrun, in the place of the one that its engine raised. */
function planCallersOpenFiles({ soft, hard }: OpenFilesLimit): RlimitSetting {
  return {
    resource: RESOURCES.RLIMIT_NOFILE,
    soft: atLeast(soft, SETUP_NOFILE),
    hard: atLeast(hard, SETUP_NOFILE),
    label: `set RLIMIT_NOFILE to the caller's ${soft}:${hard}`,
    pointer: '/process/rlimits',
  };
}

/** The limits that would have hindered the set-up, lowered by the process itself right before its program. */
export function planLateRlimits({ rlimits = [] }: Process): Step[] {
  return rlimits.flatMap(({ type, soft, hard }, index) => {
    if (type !== 'RLIMIT_NOFILE' || BigInt(soft) >= SETUP_NOFILE) return [];
    const limit = rlimit64({ soft: BigInt(soft), hard: BigInt(hard) });
    const label = `set ${type} to ${soft}:${hard}`;
    return [
      call('prlimit64', [0, RESOURCES[type], limit, 0], { label, pointer: pointerTo('/process/rlimits', index) }),
    ];
  });
}

function atLeast(value: bigint, least: bigint): bigint {
  return value < least ? least : value;
}
