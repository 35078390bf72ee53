/** Everything a config must follow that a schema cannot say. */
import type { Issue } from '../../errors.ts';
import { checkDeviceNumbers, checkDevicePaths } from './devices.ts';
import type { DraftConfig } from './draft.ts';
import { checkHookEnv } from './hooks.ts';
import { checkIdRanges, checkMountIdRanges, checkUserNamespace } from './id-mappings.ts';
import { checkIntelRdt } from './intel-rdt.ts';
import { checkMemoryPolicyFlags, checkMemoryPolicyNodes } from './memory-policy.ts';
import {
  checkBindMounts,
  checkIdMappedMounts,
  checkMountNamespace,
  checkMountOnRoot,
  checkMountTypes,
  checkProcMounts,
} from './mounts.ts';
import { checkNamespaces, checkNetDevices, checkTimeOffsets } from './namespaces.ts';
import { checkNulBytes } from './nul-bytes.ts';
import { checkArgs, checkCwd, checkEnv, checkRlimits } from './process.ts';
import {
  checkBlockIo,
  checkCgroupsPath,
  checkCpu,
  checkHugepages,
  checkMemory,
  checkRdma,
  checkUnified,
} from './resources.ts';
import { checkAnnotations, checkHostname, checkRoot, checkVersion } from './root.ts';
import { checkSchedulerDeadline, checkSchedulerPolicy, checkSchedulerPriority } from './scheduler.ts';
import { checkSeccompErrno, checkSeccompListener, checkSeccompNotify } from './seccomp.ts';
import { checkLandlock } from './landlock.ts';
import { checkOverlay } from './overlay.ts';
import { checkSysctl } from './sysctl.ts';

/** A named check: what it finds wrong in a config. */
export interface Rule {
  readonly name: string;
  readonly check: (config: DraftConfig) => Issue[];
}

const nulBytes: Rule = { name: 'nul-bytes', check: checkNulBytes };

const processOnly: readonly Rule[] = [
  { name: 'cwd', check: checkCwd },
  { name: 'args', check: checkArgs },
  { name: 'env', check: checkEnv },
  { name: 'rlimits', check: checkRlimits },
  { name: 'scheduler-policy', check: checkSchedulerPolicy },
  { name: 'scheduler-priority', check: checkSchedulerPriority },
  { name: 'scheduler-deadline', check: checkSchedulerDeadline },
];

const resourcesOnly: readonly Rule[] = [
  { name: 'memory', check: checkMemory },
  { name: 'cpu', check: checkCpu },
  { name: 'block-io', check: checkBlockIo },
  { name: 'hugepages', check: checkHugepages },
  { name: 'rdma', check: checkRdma },
  { name: 'unified', check: checkUnified },
];

/** Rules that also hold for a process section on its own, as `exec` reads it. */
export const processRules: readonly Rule[] = [...processOnly, nulBytes];

/** Rules that also hold for a resources section on its own, as `update` reads it. */
export const resourcesRules: readonly Rule[] = [...resourcesOnly, nulBytes];

/** All rules of a config. */
export const rules: readonly Rule[] = [
  { name: 'version', check: checkVersion },
  { name: 'root', check: checkRoot },
  { name: 'hostname', check: checkHostname },
  { name: 'annotations', check: checkAnnotations },
  { name: 'landlock', check: checkLandlock },
  { name: 'overlay', check: checkOverlay },
  nulBytes,
  ...processOnly,
  { name: 'hook-env', check: checkHookEnv },
  { name: 'mount-namespace', check: checkMountNamespace },
  { name: 'mount-on-root', check: checkMountOnRoot },
  { name: 'proc-mounts', check: checkProcMounts },
  { name: 'bind-mounts', check: checkBindMounts },
  { name: 'mount-types', check: checkMountTypes },
  { name: 'id-mapped-mounts', check: checkIdMappedMounts },
  { name: 'mount-id-ranges', check: checkMountIdRanges },
  { name: 'namespaces', check: checkNamespaces },
  { name: 'user-namespace', check: checkUserNamespace },
  { name: 'id-ranges', check: checkIdRanges },
  { name: 'time-offsets', check: checkTimeOffsets },
  { name: 'net-devices', check: checkNetDevices },
  { name: 'device-numbers', check: checkDeviceNumbers },
  { name: 'device-paths', check: checkDevicePaths },
  { name: 'sysctl', check: checkSysctl },
  { name: 'cgroups-path', check: checkCgroupsPath },
  ...resourcesOnly,
  { name: 'seccomp-errno', check: checkSeccompErrno },
  { name: 'seccomp-listener', check: checkSeccompListener },
  { name: 'seccomp-notify', check: checkSeccompNotify },
  { name: 'memory-policy-nodes', check: checkMemoryPolicyNodes },
  { name: 'memory-policy-flags', check: checkMemoryPolicyFlags },
  { name: 'intel-rdt', check: checkIntelRdt },
];
