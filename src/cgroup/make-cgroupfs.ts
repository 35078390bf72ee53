import { TsrunError } from '../errors.ts';
import type { CgroupPlan } from '../plan/cgroup/plan.ts';
import { wording } from '../util/wording.ts';
import { applyWrites } from './apply.ts';
import type { CgroupReferenceDirectory, ManagedCgroup } from './cgroup.ts';
import { openCgroupfs } from './cgroupfs.ts';
import { ensureDirectory, removeEmpty } from './directory.ts';
import { isDirectoryFrozen } from './freezer.ts';
import { giveAway } from './owner.ts';
import { listProcesses } from './processes.ts';

/** Makes the cgroups of a plan in every hierarchy that it names, and does its `prepare` writes. Errors: those of `makeCgroup`. */
export function makeCgroupfs(plan: CgroupPlan): ManagedCgroup {
  const directories: CgroupReferenceDirectory[] = [];
  try {
    for (const { kind, controllers, mountPoint, path } of plan.directories) {
      const ensured = ensureDirectory({ kind, mountPoint, path });
      const directory = { kind, controllers, mountPoint, ...ensured };
      directories.push(directory);
      if (!ensured.made.includes(ensured.hostPath)) refuseInUse(directory);
    }
    applyWrites(plan.prepare, directories);
    giveAway(plan, directories);
  } catch (error) {
    for (const { made } of directories) removeEmpty(made);
    throw error;
  }
  return openCgroupfs({ manager: 'cgroupfs', version: plan.version, directories });
}

/**
 * A cgroup that was there before is taken only when it is idle: two containers in one would kill and freeze each other. One that is
 * not there is idle. Errors: `cgroup`.
 */
export function refuseInUse(directory: CgroupReferenceDirectory): void {
  const where = JSON.stringify(directory.hostPath);
  const { pids, outside } = listProcesses(directory.hostPath);
  const count = pids.length + outside;
  if (count > 0) {
    throw new TsrunError('cgroup', `use cgroup ${where}: ${wording.cgroupNotEmpty(count)}`);
  }
  if (isDirectoryFrozen(directory)) throw new TsrunError('cgroup', `use cgroup ${where}: ${wording.cgroupFrozen}`);
}
