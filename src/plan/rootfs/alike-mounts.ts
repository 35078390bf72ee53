import { fitsSeries, mark } from '../../program/series.ts';
import type { Series, Step } from '../../program/step.ts';
import { isBindMount } from '../../spec/bind-mount.ts';
import type { Mount } from '../../spec/generated/config.ts';
import { MS_RDONLY } from '../../util/constants.ts';
import type { PlanContext } from '../base/context.ts';
import { components } from '../base/handles.ts';
import { parseMountOptions } from './mount-options.ts';

/** How many mounts from an index on are alike but for their destinations: tmpfs that are mounted in one go. At least 1. */
export function countAlike({ bundle }: PlanContext, mounts: readonly Mount[], from: number): number {
  const first = mounts[from];
  if (first === undefined || !isPlainTmpfs(first)) return 1;
  const isAlike = (mount: Mount): boolean => {
    if (!fitsSeries(mount.destination) || allButDestination(mount) !== rest) return false;
    const parts = components(mount.destination);
    // Behind a symlink that dangles something else is made.
    return parts.length === depth && !Object.hasOwn(bundle.danglingLinks, `/${parts.join('/')}`);
  };
  const depth = components(first.destination).length;
  const rest = allButDestination(first);
  // The root has steps of its own.
  if (depth === 0 || !fitsSeries(rest)) return 1;
  let to = from;
  for (let mount = mounts[to]; mount !== undefined && isAlike(mount); mount = mounts[to]) to += 1;
  return Math.max(to - from, 1);
}

function isPlainTmpfs(mount: Mount): boolean {
  const { type, options = [] } = mount;
  if (type !== 'tmpfs' || isBindMount(mount)) return false;
  const { flags, manner } = parseMountOptions(options);
  // What is done later, or by the parent, is planned for each.
  return (flags & MS_RDONLY) === 0 && !manner.copyUp;
}

function allButDestination(mount: Mount): string {
  return JSON.stringify({ ...mount, destination: '' });
}

/** The steps of `count` mounts from the index `from` on, which are alike. `planMount` is for one of them. */
export function mountSeries(
  { memory }: PlanContext,
  mounts: readonly Mount[],
  { from, count, planMount }: AlikeMounts,
): Series {
  const first = mounts[from] as Mount;
  const planLater = memory.later((index: number) => planMount(mounts[from + index] as Mount, from + index));
  const values = (index: number): string[] => components(mounts[from + index]?.destination ?? '');
  const standIn = `/${values(0)
    .map((_, depth) => mark(depth))
    .join('/')}`;
  return {
    kind: 'series',
    count,
    template: planMount({ ...first, destination: standIn }, from),
    values,
    plan: planLater,
  };
}

/** Mounts in a row. */
export interface AlikeMounts {
  readonly from: number;
  readonly count: number;
  readonly planMount: (mount: Mount, index: number) => readonly Step[];
}
