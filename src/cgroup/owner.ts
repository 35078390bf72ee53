import { lchownSync } from 'node:fs';
import type { CgroupPlan } from '../plan/cgroup/plan.ts';
import { cgroupError, errnoOf, tryReadControlFile } from './control-file.ts';

/** The kernel's list of the files that whoever manages a cgroup has to own. */
const DELEGATE = '/sys/kernel/cgroup/delegate';
/** What config-linux.md, "Cgroup ownership", falls back to for a kernel without the list. */
const DEFAULT_FILES = ['cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads'];

/**
 * Gives the container's cgroup2 directory to the owner that the plan names, with the files of the kernel's list.
 *
 * Errors: `cgroup`, but not for a user without the right to give files away where the plan can do without.
 */
export function giveAway({ owner }: CgroupPlan, directories: readonly { readonly hostPath: string }[]): void {
  const hostPath = owner === undefined ? undefined : directories[owner.directory]?.hostPath;
  if (owner === undefined || hostPath === undefined) return;
  giveFiles(hostPath, delegatedFiles(tryReadControlFile(DELEGATE)), owner);
}

/** Names of the files that go to the owner: those of the kernel's list, one a line. `list` is undefined for a kernel without it. */
export function delegatedFiles(list: string | undefined): readonly string[] {
  return list === undefined ? DEFAULT_FILES : list.split('\n').filter((name) => /^[a-z][a-z._]*$/.test(name));
}

/** Gives a directory and these files of it away; nothing else in it and nothing below it. Errors: those of `giveAway`. */
export function giveFiles(
  hostPath: string,
  names: readonly string[],
  { uid, optional }: { readonly uid: number; readonly optional: boolean },
): void {
  for (const path of [hostPath, ...names.map((name) => `${hostPath}/${name}`)]) {
    try {
      // The group stays what it is.
      lchownSync(path, uid, -1);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'EPERM' && optional) return;
      // A file of a controller that this cgroup does not have.
      if (errno !== 'ENOENT' || path === hostPath)
        throw cgroupError(`give ${JSON.stringify(path)} to uid ${uid}`, error);
    }
  }
}
