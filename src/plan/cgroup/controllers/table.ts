import { blockIo } from './block-io.ts';
import type { Controller } from './controller.ts';
import { cpu, cpuRealtime } from './cpu.ts';
import { cpuset } from './cpuset.ts';
import { hugetlb } from './hugetlb.ts';
import { memory } from './memory.ts';
import { netCls, netPrio } from './network.ts';
import { pids } from './pids.ts';
import { rdma } from './rdma.ts';

/** All controllers, in the order in which their limits are applied. */
export const CONTROLLERS: readonly Controller[] = [
  cpuset,
  cpuRealtime,
  memory,
  cpu,
  pids,
  blockIo,
  hugetlb,
  rdma,
  netCls,
  netPrio,
];
