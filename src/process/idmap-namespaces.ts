import { planHoldUserNamespace } from '../plan/hold-user-namespace.ts';
import type { IdmapNamespace } from '../plan/idmaps.ts';
import type { Arch } from '../program/calls.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { waitChild } from '../sys/wait.ts';
import { O_RDONLY, O_RDWR } from '../util/constants.ts';
import { Conversation } from './conversation.ts';
import { writeIdMaps } from './id-maps.ts';
import { spawnInit } from './spawn-init.ts';

export interface IdmapOptions {
  readonly arch: Arch;
  readonly fallbackDirectory: string;
}

/**
 * Opens the user namespaces whose id maps idmapped mounts use, in the order given; owned by the caller.
 *
 * A namespace with maps of its own is made by a process that lives only for it: the descriptor keeps it alive afterwards.
 * Errors: `host`, `step`. Source: man 2 mount_setattr, "ID-mapped mounts".
 */
export async function openIdmapNamespaces(
  namespaces: readonly IdmapNamespace[],
  options: IdmapOptions,
): Promise<OwnedFd[]> {
  const opened: OwnedFd[] = [];
  try {
    for (const namespace of namespaces) {
      opened.push(
        namespace.kind === 'path' ? openFile(namespace.path, O_RDONLY) : await makeNamespace(namespace, options),
      );
    }
    return opened;
  } catch (error) {
    for (const fd of opened) fd.close();
    throw error;
  }
}

async function makeNamespace(maps: IdmapNamespace & { kind: 'new' }, options: IdmapOptions): Promise<OwnedFd> {
  const SYNC_FD = 3;
  using nothing = openFile('/dev/null', O_RDWR);
  const descriptors = new Map([0, 1, 2].map((number) => [number, nothing.number]));
  const { pid, socket } = spawnInit({ ...options, syncFd: SYNC_FD, descriptors });
  const conversation = new Conversation(socket, { arch: options.arch, syncFd: SYNC_FD });
  try {
    await conversation.run(planHoldUserNamespace(SYNC_FD));
    // Only one who is privileged may mount with an id map, so the maps can be written directly.
    writeIdMaps(pid, { uid: maps.uid, gid: maps.gid, uidTool: false, gidTool: false, denySetgroups: false });
    return openFile(`/proc/${pid}/ns/user`, O_RDONLY);
  } finally {
    // The end of the sync pipe ends the process.
    conversation.close();
    waitChild(pid);
  }
}
