import { call } from '../../program/build.ts';
import type { Place, Region, Step } from '../../program/step.ts';
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_WRONLY } from '../../util/constants.ts';
import type { CgroupDirectory, CgroupPlan } from './plan.ts';
import { directoryPath } from './print.ts';

/** A cgroup of the container by its absolute path, as a plan gives it for `create` and the state for `exec`. */
export interface JoinPlace {
  readonly kind: 'v1' | 'v2';
  readonly hostPath: string;
}

/** The cgroups of a plan, to be joined: systemd itself moves a process into those that it keeps. */
export function joinPlaces({ directories, scope }: CgroupPlan): JoinPlace[] {
  const own =
    scope === undefined || scope.isSlice ? directories : directories.filter((directory) => !isKeptBySystemd(directory));
  return own.map((directory) => ({ kind: directory.kind, hostPath: directoryPath(directory) }));
}

/** cgroup2, and on cgroup v1 the hierarchy without controllers in which systemd keeps its units apart. */
export function isKeptBySystemd({ kind, controllers }: Pick<CgroupDirectory, 'kind' | 'controllers'>): boolean {
  return kind === 'v2' || controllers.includes('name=systemd');
}

/**
 * Init moves itself into the container's v1 cgroups, as long as it has the host's mounts.
 *
 * A process that moves its only thread by writing "0" to `tasks` spares the kernel a wait for an RCU grace period, which any write of
 * a pid to cgroup.procs costs (kernel/cgroup/cgroup.c, cgroup_procs_write_start, since 5.5): eight hierarchies took 0.3 ms
 * instead of 12 ms. Init has one thread, so that both mean the same. For cgroup2, where threads cannot leave their process, see
 * `planUnifiedOpen`.
 *
 * `scratch` is a word that is free for a moment.
 */
export function planCgroupJoin(places: readonly JoinPlace[], scratch: Region): Step[] {
  return places
    .filter(({ kind }) => kind === 'v1')
    .flatMap(({ hostPath }): Step[] => [
      call('openat', [AT_FDCWD, `${hostPath}/tasks`, O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0], {
        label: `join cgroup ${JSON.stringify(hostPath)}: open tasks`,
        result: scratch,
      }),
      call('write', [scratch, '0', 1], { label: `join cgroup ${JSON.stringify(hostPath)}` }),
      call('close', [scratch], { label: 'close tasks', accept: 'any' }),
    ]);
}

/**
 * Opens the container's cgroup2 directory for clone3(2) with CLONE_INTO_CGROUP: the child starts there, nobody is moved.
 *
 * No steps where there is no cgroup2 directory; `result` stays 0 then.
 */
export function planUnifiedOpen(places: readonly JoinPlace[], result: Region | Place): Step[] {
  const unified = places.find(({ kind }) => kind === 'v2');
  if (unified === undefined) return [];
  const path = unified.hostPath;
  const label = `open cgroup ${JSON.stringify(path)}`;
  return [call('openat', [AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0], { label, result })];
}

/** Init moves itself into the container's cgroup2 directory, where it may not be cloned into it. */
export function planUnifiedJoin(places: readonly JoinPlace[], scratch: Region): Step[] {
  return places
    .filter(({ kind }) => kind === 'v2')
    .flatMap(({ hostPath }): Step[] => [
      call('openat', [AT_FDCWD, `${hostPath}/cgroup.procs`, O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0], {
        label: `join cgroup ${JSON.stringify(hostPath)}: open cgroup.procs`,
        result: scratch,
      }),
      call('write', [scratch, '0', 1], { label: `join cgroup ${JSON.stringify(hostPath)}` }),
      call('close', [scratch], { label: 'close cgroup.procs', accept: 'any' }),
    ]);
}
