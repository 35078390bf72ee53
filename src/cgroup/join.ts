import { writeFileSync } from 'node:fs';
import { cgroupError } from './control-file.ts';
import type { CgroupReference } from './cgroup.ts';

/** Puts a process into the cgroups of a container. Errors: `cgroup`. */
export function joinCgroup({ directories }: CgroupReference, pid: number): void {
  for (const { hostPath } of directories) {
    try {
      writeFileSync(`${hostPath}/cgroup.procs`, String(pid));
    } catch (error) {
      throw cgroupError(`put process ${pid} into cgroup ${JSON.stringify(hostPath)}`, error);
    }
  }
}
