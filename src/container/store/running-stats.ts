import { readStats } from '../../cgroup/stats/stats.ts';
import { TsrunError } from '../../errors.ts';
import { readNetworkInterfaces } from '../../host/network-interfaces.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { StateDirectory } from './directory.ts';
import type { ContainerStats, RuntimeOptions } from './options.ts';
import { openProcess } from './process-identity.ts';
import type { ContainerRecord } from './record.ts';
import { currentStatus } from './status.ts';

/** What the kernel has counted for a container that runs. Errors: `cgroup`. */
export function readContainerStats(
  { caller }: { readonly caller: { readonly proc: string } },
  { cgroup, init }: ContainerRecord,
): ContainerStats {
  const networkInterfaces = init === undefined ? [] : readNetworkInterfaces(init.pid, caller);
  return { ...readStats(cgroup), networkInterfaces };
}

/** The record of a container that runs, and a pidfd of its init, owned by the caller. Errors: `not-found`; `status` when it has ended. */
export function openRunning(
  { root }: Pick<RuntimeOptions, 'root'>,
  id: string,
): { record: ContainerRecord; pidfd: OwnedFd } {
  using directory = new StateDirectory(root, id);
  const record = directory.readRecord();
  const status = currentStatus(directory, record);
  const isThere = status !== 'stopped' && status !== 'creating';
  const pidfd = isThere && record.init !== undefined ? openProcess(record.init) : undefined;
  if (pidfd === undefined) throw new TsrunError('status', `container with id ${id} is not running`);
  return { record, pidfd };
}
