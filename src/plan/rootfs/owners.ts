import { call, stringArray, wordBlock } from '../../program/build.ts';
import type { Program } from '../../program/step.ts';
import { CLONE_NEWUSER } from '../../util/constants.ts';
import type { IdentityFacts } from '../base/facts.ts';
import type { IdMapPlan } from '../namespaces/id-maps.ts';

/** Any tag but those of the format itself (program/FORMAT.md). */
const TAG_INSIDE = 16n;

/**
 * The maps of a user namespace whose root may remove all that a container's users have made, for an ordinary user who could not
 * otherwise; undefined where they are that user alone. Which id is which inside does not matter, but for 0, which may enter every directory
 * of ids that are mapped (man 7 capabilities, CAP_DAC_OVERRIDE).
 */
export function planOwners(
  maps: IdMapPlan | undefined,
  { euid, egid }: Pick<IdentityFacts, 'euid' | 'egid'>,
): IdMapPlan | undefined {
  if (maps === undefined || !(maps.uidTool || maps.gidTool)) return undefined;
  return { ...maps, uid: inOrder(maps.uid, euid), gid: inOrder(maps.gid, egid) };
}

/** The directory of the layer itself is the caller's. */
function inOrder(ranges: IdMapPlan['uid'], own: number): IdMapPlan['uid'] {
  const has = ranges.some(({ hostID, size }) => own >= hostID && own < hostID + size);
  let next = 0;
  return [...(has ? [] : [{ hostID: own, size: 1 }]), ...ranges].map(({ hostID, size }) => {
    const containerID = next;
    next += size;
    return { containerID, hostID, size };
  });
}

/** Enters a new user namespace, and waits for its maps. */
export function planEnterOwners(sync: number): Program {
  return {
    name: 'enter a user namespace of the owners',
    replies: true,
    steps: [
      call('unshare', [CLONE_NEWUSER], { label: 'create user namespace' }),
      call('write', [sync, wordBlock([TAG_INSIDE], 'tag'), 8], { label: 'wait for the id maps' }),
    ],
  };
}

const REMOVE = ['/bin/rm', '/usr/bin/rm'];

/** Becomes rm(1), which follows no symlink and looks every name up in the directory that it has opened. */
export function planRemoveAsOwners(directory: number, names: readonly string[]): Program {
  const args = stringArray(['rm', '-r', '-f', '--one-file-system', '--', ...names]);
  return {
    name: 'remove as the owners',
    replies: false,
    steps: [
      call('setresgid', [0, 0, 0], { label: 'become group 0 of the user namespace' }),
      call('setresuid', [0, 0, 0], { label: 'become user 0 of the user namespace' }),
      call('fchdir', [directory], { label: 'enter the directory' }),
      ...REMOVE.map((file) => call('execve', [file, args, stringArray([])], { label: 'remove', accept: 'any' })),
      call('exit_group', [1], { label: 'end' }),
    ],
  };
}
