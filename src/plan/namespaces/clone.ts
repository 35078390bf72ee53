import { call, equals, unless, when, type CallOptions } from '../../program/build.ts';
import type { Block, Place, Region, Step } from '../../program/step.ts';
import type { NamespaceType } from '../../spec/generated/config.ts';
import { CLONE_INTO_CGROUP, CLONE_PARENT, F_DUPFD_CLOEXEC, PR_SET_DUMPABLE } from '../../util/constants.ts';
import { findUnified, planCgroupJoin, planFallbackOpen, planUnifiedJoin, planUnifiedOpen } from './join-cgroups.ts';
import { hasNewNamespace, type PlanContext } from '../base/context.ts';
import type { JoinPlace } from '../cgroup/path.ts';
import { failedWith } from '../base/failed-with.ts';
import { NAMESPACE_FLAGS } from './namespaces.ts';
import { reply } from '../base/reply.ts';
import { CLONE_ARGS_CGROUP, CLONE_ARGS_SIZE, cloneArgs } from '../../program/structs.ts';

/** Made by the clone itself. User and time namespaces come before it, the cgroup namespace after. */
const CLONED: readonly NamespaceType[] = ['pid', 'mount', 'network', 'uts', 'ipc'];

/** The two halves of making the container's process: into its cgroups, and the clone. */
export interface ClonePlan {
  /** While the host's mounts and privileges are there. */
  readonly joinCgroups: readonly Step[];
  /** The last steps of the program; those of the next program are the new process's. */
  readonly clone: readonly Step[];
}

/** New namespaces of the clone (default: those of the config), and whether it joins the cgroup2 directory before rather than by it. */
export interface CloneOptions {
  readonly types?: readonly NamespaceType[];
  readonly joinsUnified: boolean;
  /** Other programs come between the two halves, and what a packet holds does not outlive it. */
  readonly isApart?: boolean;
}

/**
 * The clone: the container's process is born into its remaining new namespaces as a child of tsrun itself (CLONE_PARENT), so
 * that no helper process stays between. The process that clones it reports its pid and ends.
 *
 * The v1 cgroups are joined by the process that clones, and inherited. Into the cgroup2 directory the new process is born
 * (CLONE_INTO_CGROUP); only where a namespace entered before the clone takes away the right to that, the directory is joined too.
 */
export function planClone(context: PlanContext, places: readonly JoinPlace[], options: CloneOptions): ClonePlan {
  const types = options.types ?? CLONED.filter((type) => hasNewNamespace(context.config, type));
  const pid = context.memory.word('pid');
  const unified = findUnified(places);
  const born = options.joinsUnified ? undefined : unified;
  const args = cloneArguments(types, born !== undefined);
  const handle = handleOf(context, args, { name: 'cgroup-directory', isApart: options.isApart === true });
  const what = types.length === 0 ? 'create the process' : `create the process in new ${types.join(', ')} namespaces`;
  const purpose = types.length === 0 ? {} : ({ purpose: 'create namespaces' } as const);
  const made = { label: what, result: pid, ...purpose };
  const instead = planCloneInstead(context, types, born, { made, pid, isApart: options.isApart === true });
  return {
    joinCgroups: [
      ...planCgroupJoin(context, places),
      ...(born === undefined ? planUnifiedJoin(context, places) : planUnifiedOpen(context, places, handle.opened)),
      ...instead.open,
    ],
    clone: [
      ...(born === undefined ? [] : handle.use),
      // The user and time namespaces needed it otherwise; the new process must be opaque from its birth (CVE-2016-9962).
      call('prctl', [PR_SET_DUMPABLE, 0, 0, 0, 0], { label: 'be opaque to other processes' }),
      call('clone3', [args, CLONE_ARGS_SIZE], {
        ...made,
        ...(instead.clone.length > 0 ? { accept: ['EBUSY'] } : {}),
      }),
      ...instead.clone,
      ...unless(equals(pid, 0n, { text: 'this is the new process' }), tellPid(context, pid)),
    ],
  };
}

/**
 * The clone into the cgroup2 directory of the container's init, for when init has moved itself and its controllers into a
 * cgroup below the container's: that takes no processes any more (man 7 cgroups, "no internal processes").
 */
function planCloneInstead(
  context: PlanContext,
  types: readonly NamespaceType[],
  place: JoinPlace | undefined,
  { made, pid, isApart }: { readonly made: CallOptions; readonly pid: Region; readonly isApart: boolean },
): { open: Step[]; clone: Step[] } {
  if (place?.fallback === undefined) return { open: [], clone: [] };
  const args = cloneArguments(types, true);
  const handle = handleOf(context, args, { name: 'cgroup-of-init', isApart });
  const clone = call('clone3', [args, CLONE_ARGS_SIZE], { ...made, label: `${made.label} in the cgroup of init` });
  return {
    open: planFallbackOpen(place, handle.opened),
    clone: when(
      failedWith(pid, 'EBUSY'),
      [...handle.use, clone],
      'use the cgroup of init when that of the container is busy',
    ),
  };
}

/** Where the handle of a cgroup directory goes when it is opened, and how it gets into the arguments of the clone. */
function handleOf(
  { memory }: PlanContext,
  args: Block,
  { name, isApart }: { readonly name: string; readonly isApart: boolean },
): { readonly opened: Region | Place; readonly use: Step[] } {
  const place: Place = { kind: 'place', of: args, offset: CLONE_ARGS_CGROUP };
  if (!isApart) return { opened: place, use: [] };
  const opened = memory.word(name);
  // One that could not be opened is missed by the clone itself.
  const options = { label: `put ${name} into the arguments`, accept: ['EBADF'] as const, result: place };
  return { opened, use: [call('fcntl', [opened, F_DUPFD_CLOEXEC, 0], options)] };
}

function tellPid(context: PlanContext, pid: Region): Step[] {
  return [
    reply(context.descriptors.sync, 'pid', 'tell its pid', [pid]),
    call('exit_group', [0], { label: 'end the process that cloned it' }),
  ];
}

/** Without an exit signal, as CLONE_PARENT demands. */
function cloneArguments(types: readonly NamespaceType[], intoCgroup: boolean): Block {
  const namespaces = types.reduce((all, type) => all | BigInt(NAMESPACE_FLAGS[type]), 0n);
  return cloneArgs(namespaces | BigInt(CLONE_PARENT) | (intoCgroup ? CLONE_INTO_CGROUP : 0n));
}
