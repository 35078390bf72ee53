import { call, when } from '../../program/build.ts';
import type { CallStep, Place, Region, Step } from '../../program/step.ts';
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../util/constants.ts';
import type { PlanContext } from '../base/context.ts';
import { failedWith } from '../base/failed-with.ts';
import { withHandle } from '../base/with-handle.ts';
import type { JoinPlace } from '../cgroup/path.ts';
import type { CgroupDirectory, CgroupPlan } from '../cgroup/plan.ts';
import { directoryPath } from '../cgroup/print.ts';
import { OPEN_HOW_SIZE, openHow } from '../../program/structs.ts';

type MemoryContext = Pick<PlanContext, 'memory'>;

/** Nothing leads out of the container's cgroup: no symlink, no mount, no `..`. */
const BELOW = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;

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
 */
export function planCgroupJoin(context: MemoryContext, places: readonly JoinPlace[]): Step[] {
  return places.filter(({ kind }) => kind === 'v1').flatMap((place) => joinBy(context, place, 'tasks'));
}

/**
 * Opens the container's cgroup2 directory for clone3(2) with CLONE_INTO_CGROUP: the child starts there, nobody is moved.
 *
 * No steps where there is no cgroup2 directory; `result` stays 0 then.
 */
export function planUnifiedOpen(context: MemoryContext, places: readonly JoinPlace[], result: Region | Place): Step[] {
  const unified = findUnified(places);
  if (unified === undefined) return [];
  const { hostPath, below } = unified;
  const label = `open cgroup ${shownPath(unified)}`;
  if (below === undefined) return [openDirectory(hostPath, { label, result })];
  const how = openHow({ flags: O_PATH | O_DIRECTORY, resolve: BELOW });
  return inDirectory(context, hostPath, label, (directory) =>
    call('openat2', [directory, below, how, OPEN_HOW_SIZE], { label, result }),
  );
}

/** Opens the cgroup2 directory that stands in for one that takes no processes; one that is gone is found missing at its use. */
export function planFallbackOpen({ fallback = '' }: JoinPlace, result: Region | Place): Step[] {
  if (fallback === '') return [];
  const label = `open cgroup ${JSON.stringify(fallback)}`;
  return [{ ...openDirectory(fallback, { label, result }), accept: ['ENOENT'] }];
}

/** Init moves itself into the container's cgroup2 directory, where it may not be cloned into it. */
export function planUnifiedJoin(context: Pick<PlanContext, 'memory' | 'slots'>, places: readonly JoinPlace[]): Step[] {
  const unified = findUnified(places);
  if (unified === undefined) return [];
  const { kind, fallback } = unified;
  const steps = joinBy(context, unified, 'cgroup.procs');
  if (fallback === undefined) return steps;
  const { answer } = context.slots;
  const tolerant = steps.map((step): Step => {
    if (step.kind !== 'call' || step.call !== 'write') return step;
    return { ...step, accept: ['EBUSY'], result: answer };
  });
  const instead = joinBy(context, { kind, hostPath: fallback }, 'cgroup.procs');
  return [...tolerant, ...when(failedWith(answer, 'EBUSY'), instead, 'join the cgroup of init when it is busy')];
}

/** The cgroup2 directory of a container. */
export function findUnified(places: readonly JoinPlace[]): JoinPlace | undefined {
  return places.find(({ kind }) => kind === 'v2');
}

function joinBy(context: MemoryContext, place: JoinPlace, file: string): Step[] {
  const { hostPath, below } = place;
  const label = `join cgroup ${shownPath(place)}`;
  const open = (result: Region): Step[] => {
    const options = { label: `${label}: open ${file}`, result };
    if (below === undefined)
      return [call('openat', [AT_FDCWD, `${hostPath}/${file}`, O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0], options)];
    const how = openHow({ flags: O_WRONLY, resolve: BELOW });
    return inDirectory(context, hostPath, label, (directory) =>
      call('openat2', [directory, `${below}/${file}`, how, OPEN_HOW_SIZE], options),
    );
  };
  return withHandle(context, { name: 'cgroup file', open, closeLabel: `close ${file}` }, (handle) => [
    call('write', [handle, '0', 1], { label }),
  ]);
}

/** `open` opens what lies below the directory. */
function inDirectory(
  context: MemoryContext,
  hostPath: string,
  label: string,
  open: (directory: Region) => Step,
): Step[] {
  return withHandle(
    context,
    {
      name: 'cgroup above',
      open: (directory) => [openDirectory(hostPath, { label, result: directory })],
      closeLabel: 'close the cgroup above it',
    },
    (directory) => [open(directory)],
  );
}

function openDirectory(hostPath: string, options: { label: string; result: Region | Place }): CallStep {
  return call('openat', [AT_FDCWD, hostPath, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0], options);
}

function shownPath({ hostPath, below }: JoinPlace): string {
  return JSON.stringify(below === undefined ? hostPath : `${hostPath}/${below}`);
}
