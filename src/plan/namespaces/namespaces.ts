import { block, call, isZero, unless } from '../../program/build.ts';
import type { Block, CallStep, Region, Step } from '../../program/step.ts';
import {
  AT_FDCWD,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  O_CLOEXEC,
  O_RDONLY,
  O_WRONLY,
  PR_SET_DUMPABLE,
} from '../../util/constants.ts';
import type { NamespaceType, TimeOffsets } from '../../spec/generated/config.ts';
import { utf8 } from '../../util/utf8.ts';
import { findNamespace, hasNewNamespace, type PlanContext } from '../base/context.ts';
import { reply } from '../base/reply.ts';
import { withHandle } from '../base/with-handle.ts';

/** config-linux.md, "Namespaces": each type and its flag of clone3(2), unshare(2) and setns(2). */
export const NAMESPACE_FLAGS: Readonly<Record<NamespaceType, number>> = {
  user: CLONE_NEWUSER,
  pid: CLONE_NEWPID,
  mount: CLONE_NEWNS,
  network: CLONE_NEWNET,
  uts: CLONE_NEWUTS,
  ipc: CLONE_NEWIPC,
  cgroup: CLONE_NEWCGROUP,
  time: CLONE_NEWTIME,
};

interface JoinedNamespace {
  readonly type: NamespaceType;
  readonly path: string;
  readonly pointer: string;
  readonly word: Region;
}

/**
 * Joins the namespaces that have a path, in the process that init is first.
 *
 * All files are opened before anything is joined, since a joined namespace can hide the paths of the rest. Those that the host's
 * privileges open (a network namespace made by root) must be joined before the user namespace is; those that
 * belong to the joined user namespace only after it. So each is tried before, and again after where that was refused.
 */
export function planJoinNamespaces(context: PlanContext): Step[] {
  const joined = joinedNamespaces(context);
  const user = joined.find(({ type }) => type === 'user');
  const others = joined.filter(({ type }) => type !== 'user');
  const steps: Step[] = joined.map(({ type, path, pointer, word }) =>
    call('openat', [AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0], {
      label: `open ${type} namespace ${JSON.stringify(path)}`,
      pointer,
      result: word,
    }),
  );
  if (user === undefined) return [...steps, ...others.map((namespace) => joinStep(namespace))];
  const results = new Map(others.map((namespace) => [namespace, context.memory.word(`join-${namespace.type}`)]));
  for (const [namespace, result] of results) steps.push({ ...joinStep(namespace), accept: ['EPERM'], result });
  steps.push(joinStep(user));
  for (const [namespace, result] of results) steps.push(...unless(isZero(result), [joinStep(namespace)]));
  return steps;
}

function joinStep({ type, path, pointer, word }: JoinedNamespace): CallStep {
  return call('setns', [word, NAMESPACE_FLAGS[type]], {
    label: `join ${type} namespace ${JSON.stringify(path)}`,
    pointer,
  });
}

function joinedNamespaces(context: PlanContext): JoinedNamespace[] {
  const namespaces = context.config.linux?.namespaces ?? [];
  return namespaces.flatMap(({ type, path }, index) => {
    if (path === undefined || path === '') return [];
    const word = context.memory.word(`ns-${type}`);
    return [{ type, path, pointer: `/linux/namespaces/${index}/path`, word }];
  });
}

/** True when the container's processes are not in tsrun's own user namespace. */
export function hasUserNamespace(context: PlanContext): boolean {
  return findNamespace(context.config, 'user') !== undefined;
}

/** Enters a new user namespace and lets the parent write its id maps. */
export function planNewUserNamespace(context: PlanContext): Step[] {
  return [
    call('unshare', [CLONE_NEWUSER], {
      label: 'create user namespace',
      pointer: '/linux/namespaces',
      purpose: 'create user namespace',
    }),
    // Entering a user namespace made this process undumpable, which hands its /proc files to the host's root: an
    // unprivileged parent could not write the maps.
    call('prctl', [PR_SET_DUMPABLE, 1, 0, 0, 0], { label: 'allow the parent to write the id maps' }),
    reply(context.descriptors.sync, 'id-maps', 'wait for the id maps'),
  ];
}

/** Becomes the root of the container's user namespace, new or joined. */
export function planUserNamespaceRoot(context: PlanContext): Step[] {
  if (!hasUserNamespace(context)) return [];
  const failure = 'become root of the user namespace: {errno} (id 0 must be mapped)';
  const pointer = '/linux/uidMappings';
  return [
    call('setresgid', [0, 0, 0], {
      label: 'become group 0 of the user namespace',
      failure,
      pointer: '/linux/gidMappings',
    }),
    call('setresuid', [0, 0, 0], { label: 'become user 0 of the user namespace', failure, pointer }),
  ];
}

/** A new time namespace: its offsets can be written only before a process is in it. man 7 time_namespaces. */
export function planTimeNamespace(context: PlanContext): Step[] {
  if (!hasNewNamespace(context.config, 'time')) return [];
  const unshare = call('unshare', [CLONE_NEWTIME], {
    label: 'create time namespace',
    pointer: '/linux/namespaces',
    purpose: 'create namespaces',
  });
  const text = offsetsText(context.config.linux?.timeOffsets ?? {});
  if (text === '') return [unshare];
  const options = { label: 'write time offsets', pointer: '/linux/timeOffsets' };
  const open = (result: Region): Step[] => [
    call('openat', [AT_FDCWD, '/proc/self/timens_offsets', O_WRONLY | O_CLOEXEC, 0], { ...options, result }),
  ];
  return [
    unshare,
    call('prctl', [PR_SET_DUMPABLE, 1, 0, 0, 0], { label: 'own the files of /proc/self' }),
    ...withHandle(context, { name: 'time offsets', open }, (file) => [
      call('write', [file, textBytes(text), utf8(text).length], options),
    ]),
  ];
}

/** Lines `<clock> <seconds> <nanoseconds>` of /proc/PID/timens_offsets. */
function offsetsText(offsets: TimeOffsets): string {
  return (['monotonic', 'boottime'] as const)
    .flatMap((clock) => {
      const offset = offsets[clock];
      return offset === undefined ? [] : [`${clock} ${offset.secs ?? 0} ${offset.nanosecs ?? 0}\n`];
    })
    .join('');
}

function textBytes(text: string): Block {
  return block(utf8(text), JSON.stringify(text));
}

/** The cgroup namespace is made last, when the process is in its cgroup: that cgroup becomes the namespace's root. */
export function planCgroupNamespace(context: PlanContext): Step[] {
  if (!hasNewNamespace(context.config, 'cgroup')) return [];
  const create = {
    label: 'create cgroup namespace',
    pointer: '/linux/namespaces',
    purpose: 'create namespaces',
  } as const;
  return [call('unshare', [CLONE_NEWCGROUP], create)];
}
