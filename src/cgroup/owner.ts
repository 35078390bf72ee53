import { lchownSync } from 'node:fs';
import type { CgroupPlan } from '../plan/cgroup/plan.ts';
import { cgroupError, errnoOf, tryReadControlFile } from './control-file.ts';

/** The kernel's list of the files that whoever manages a cgroup has to own. */
const DELEGATE = '/sys/kernel/cgroup/delegate';
/** What config-linux.md, "Cgroup ownership", falls back to for a kernel without the list. */
const DEFAULT_FILES = ['cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads'];

/**
 * Gives the container's cgroup2 directory to the owner that the plan names: the directory and the files of the kernel's list, nothing
 * else in it and nothing below it.
 *
 * `readList` is for tests. Errors: `cgroup`, but not for a user without the right to give files away where the plan can do without.
 */
export function giveAway(
  { owner }: CgroupPlan,
  directories: readonly { readonly hostPath: string }[],
  readList = (): string | undefined => tryReadControlFile(DELEGATE),
): void {
  const hostPath = owner === undefined ? undefined : directories[owner.directory]?.hostPath;
  if (owner === undefined || hostPath === undefined) return;
  const list = readList();
  const files = list === undefined ? DEFAULT_FILES : list.split('\n').filter((name) => /^[a-z][a-z._]*$/.test(name));
  for (const path of [hostPath, ...files.map((name) => `${hostPath}/${name}`)]) {
    try {
      // The group stays what it is.
      lchownSync(path, owner.uid, -1);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'EPERM' && owner.optional) return;
      // A file of a controller that this cgroup does not have.
      if (errno !== 'ENOENT' || path === hostPath)
        throw cgroupError(`give ${JSON.stringify(path)} to uid ${owner.uid}`, error);
    }
  }
}
