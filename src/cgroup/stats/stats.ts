import type { CgroupReference } from '../manager.ts';
import type { Stats } from './document.ts';
import { readPids } from './pids.ts';
import { NO_BLKIO, readBlkioV1 } from './v1/blkio.ts';
import { readCpuV1 } from './v1/cpu.ts';
import { readCpusetV1 } from './v1/cpuset.ts';
import { readHugetlbV1 } from './v1/hugetlb.ts';
import { NO_MEMORY, readMemoryV1 } from './v1/memory.ts';
import { readCpuV2 } from './v2/cpu.ts';
import { readHugetlbV2 } from './v2/hugetlb.ts';
import { readIoV2 } from './v2/io.ts';
import { readMemoryV2 } from './v2/memory.ts';

/**
 * What the kernel has counted for a container, each controller where the machine has it: a v1 hierarchy first, else cgroup2.
 *
 * A file that the kernel does not have, or no longer has, counts 0. Errors: those of node:fs.
 */
export function readStats({ directories }: Pick<CgroupReference, 'directories'>): Stats {
  const v1 = (controller: string): string | undefined =>
    directories.find(({ kind, controllers }) => kind === 'v1' && controllers.includes(controller))?.hostPath;
  const unified = directories.find(({ kind }) => kind === 'v2')?.hostPath;
  /** Reads from the v1 hierarchy of a controller, from cgroup2, or answers what there is without either. */
  const choose = <T>(controller: string, none: T, v1Reader: (path: string) => T, v2Reader: (path: string) => T): T => {
    const path = v1(controller);
    if (path !== undefined) return v1Reader(path);
    return unified === undefined ? none : v2Reader(unified);
  };
  const hasV1Cpu = v1('cpuacct') !== undefined || v1('cpu') !== undefined || unified === undefined;
  return {
    cpu: hasV1Cpu ? readCpuV1(v1('cpuacct'), v1('cpu')) : readCpuV2(unified),
    cpuset: readCpusetV1(v1('cpuset')),
    memory: choose('memory', NO_MEMORY, readMemoryV1, readMemoryV2),
    pids: readPids(v1('pids') ?? unified),
    blkio: choose('blkio', NO_BLKIO, readBlkioV1, readIoV2),
    hugetlb: choose('hugetlb', {}, readHugetlbV1, readHugetlbV2),
  };
}
