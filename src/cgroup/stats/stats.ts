import { blockIoStats } from '../../plan/cgroup/controllers/block-io-stats.ts';
import type { Counted } from '../../plan/cgroup/controllers/controller.ts';
import type { CounterReader } from '../../plan/cgroup/controllers/counters.ts';
import { readCpuV1, readCpuV2 } from '../../plan/cgroup/controllers/cpu.ts';
import { readCpusetV1 } from '../../plan/cgroup/controllers/cpuset.ts';
import { hugetlbStats } from '../../plan/cgroup/controllers/hugetlb.ts';
import { memoryStats } from '../../plan/cgroup/controllers/memory.ts';
import { readPids } from '../../plan/cgroup/controllers/pids.ts';
import type { Stats } from '../../plan/cgroup/stats.ts';
import type { CgroupReference } from '../cgroup.ts';
import { counterReader } from './read.ts';

/**
 * What the kernel has counted for a container, each controller where the machine has it: a v1 hierarchy first, else cgroup2.
 *
 * A file that the kernel does not have, or no longer has, counts 0. Errors: those of node:fs.
 */
export function readStats({ directories }: Pick<CgroupReference, 'directories'>): Stats {
  const reader = (hostPath: string | undefined): CounterReader | undefined =>
    hostPath === undefined ? undefined : counterReader(hostPath);
  const v1 = (controller: string): CounterReader | undefined =>
    reader(directories.find(({ kind, controllers }) => kind === 'v1' && controllers.includes(controller))?.hostPath);
  const unified = reader(directories.find(({ kind }) => kind === 'v2')?.hostPath);
  const choose = <Part>(controller: string, counted: Counted<Part>): Part => {
    const files = v1(controller);
    if (files !== undefined) return counted.v1(files);
    return unified === undefined ? counted.none : counted.v2(unified);
  };
  const hasV1Cpu = v1('cpuacct') !== undefined || v1('cpu') !== undefined || unified === undefined;
  return {
    cpu: hasV1Cpu ? readCpuV1(v1('cpuacct'), v1('cpu')) : readCpuV2(unified),
    cpuset: readCpusetV1(v1('cpuset')),
    memory: choose('memory', memoryStats),
    pids: readPids(v1('pids') ?? unified),
    blkio: choose('blkio', blockIoStats),
    hugetlb: choose('hugetlb', hugetlbStats),
  };
}
