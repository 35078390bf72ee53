import type { IdMapPlan } from '../../plan/namespaces/id-maps.ts';
import { planEnterOwners, planRemoveAsOwners } from '../../plan/rootfs/owners.ts';
import type { Arch } from '../../program/calls.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { O_RDWR } from '../../util/constants.ts';
import { Conversation } from '../../process/conversation.ts';
import { writeIdMaps } from '../../process/id-maps.ts';
import { spawnInit } from '../../process/spawned.ts';

const SYNC_FD = 3;
const DIRECTORY_FD = 4;

/** What is removed, and with what the process that does it is made; the directory is that of `SpawnInitOptions`. */
export interface RemovalAsOwners {
  readonly names: readonly string[];
  readonly maps: IdMapPlan;
  readonly arch: Arch;
  readonly fallbackDirectory: string;
}

/**
 * Removes names of a directory, with all that is in them, as root of a new user namespace with these maps: by a process of its own. What
 * cannot be removed stays, and is for the caller to find. Errors: `host`, `step`, `init`. Source: man 7 user_namespaces.
 */
export async function removeAsOwners(
  directory: OwnedFd,
  { names, maps, arch, fallbackDirectory }: RemovalAsOwners,
): Promise<void> {
  using nothing = openFile('/dev/null', O_RDWR);
  const callers = new Map([0, 1, 2].map((number) => [number, nothing.number]));
  const descriptors = new Map([[DIRECTORY_FD, directory.number]]);
  const partner = spawnInit({ arch, syncFd: SYNC_FD, callers, descriptors, fallbackDirectory });
  const conversation = new Conversation(partner.socket, { arch, syncFd: SYNC_FD });
  try {
    await conversation.run(planEnterOwners(SYNC_FD));
    await writeIdMaps(partner.pid, maps);
    conversation.dispatch(planRemoveAsOwners(DIRECTORY_FD, names));
    await partner.howItEnded();
  } finally {
    conversation.close();
    await partner.end();
  }
}
