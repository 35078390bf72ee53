import { fstatSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import type { FoundUser, NamedUser, ProcessChange } from '../../plan/exec-process.ts';
import { findGroupByName, findUserByName, groupsWithMember, GROUPS_MAX } from '../../plan/process/users.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { openFile, openInRoot } from '../../sys/file.ts';
import { O_NOCTTY, O_NONBLOCK, O_RDONLY } from '../../util/constants.ts';
import { findInLines } from '../../host/find-in-lines.ts';

const PASSWD = '/etc/passwd';
const GROUP = '/etc/group';

/** A change of a process with numbers in the place of names. `openRoot` gives the container's root, which is closed. Errors: `program`. */
export function findUser(change: ProcessChange, openRoot: () => OwnedFd): ProcessChange<FoundUser> {
  if (change.kind === 'document') return change;
  const { user, ...others } = change;
  if (user === undefined) return others;
  const { uid, gid } = user;
  if (typeof uid === 'number' && typeof gid !== 'string') {
    return { ...others, user: { uid, ...(gid !== undefined && { gid }) } };
  }
  using root = openRoot();
  return { ...others, user: lookUp(root, user) };
}

/** A named user has its own group and those that list it, unless a group is given; a number alone keeps the groups that are there. */
function lookUp(root: OwnedFd, { uid, gid }: NamedUser): FoundUser {
  const group = typeof gid === 'string' ? find(root, GROUP, gid, (lines) => findGroupByName(lines, gid)) : gid;
  if (typeof uid === 'number') return { uid, ...(group !== undefined && { gid: group }) };
  const listed = find(root, PASSWD, uid, (lines) => findUserByName(lines, uid));
  if (group !== undefined) return { uid: listed.uid, gid: group, additionalGids: [] };
  return { ...listed, additionalGids: findGroups(root, uid) };
}

function find<Found>(root: OwnedFd, file: string, name: string, inLines: (lines: string) => Found | undefined): Found {
  const what = `look up ${JSON.stringify(name)} in ${file} of the container`;
  const found = readInside(root, file, what, inLines);
  if (found !== undefined) return found;
  throw new TsrunError('program', `${what}: it is not listed there; a number needs no entry`);
}

function findGroups(root: OwnedFd, user: string): number[] {
  const groups = new Set<number>();
  const what = `look up the groups of ${JSON.stringify(user)} in ${GROUP} of the container`;
  try {
    readInside(root, GROUP, what, (lines) => {
      for (const gid of groupsWithMember(lines, user)) if (groups.size < GROUPS_MAX) groups.add(gid);
      return undefined;
    });
  } catch (error) {
    // A user may be listed where no groups are.
    if (!(error instanceof TsrunError) || error.errno !== 'ENOENT') throw error;
  }
  return [...groups];
}

/** By a handle below the root, and opened for reading only when that is a plain file: a FIFO or a device stays closed. */
function readInside<Found>(
  root: OwnedFd,
  file: string,
  what: string,
  inLines: (lines: string) => Found | undefined,
): Found | undefined {
  try {
    using handle = openInRoot(root, file);
    if (!fstatSync(handle.number).isFile()) throw new TsrunError('program', `${what}: it is no regular file`);
    using readable = openFile(descriptorPath(handle.number), O_RDONLY | O_NONBLOCK | O_NOCTTY);
    return findInLines(readable, inLines);
  } catch (error) {
    if (error instanceof TsrunError && error.code === 'program') throw error;
    throw TsrunError.of('program', what, error);
  }
}
