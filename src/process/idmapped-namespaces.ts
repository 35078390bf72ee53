import { call, wordBlock } from '../program/build.ts';
import type { Arch } from '../program/calls.ts';
import type { Program } from '../program/step.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { waitChild } from '../sys/process/wait.ts';
import { CLONE_NEWUSER, O_RDONLY, O_RDWR } from '../util/constants.ts';
import { Conversation } from './conversation.ts';
import { writeIdMaps, type IdMaps } from './id-maps.ts';
import { spawnInit } from './spawned.ts';

/** A user namespace to be made with these maps, or found at a path. */
export type IdmapNamespace =
  ({ readonly kind: 'new' } & Pick<IdMaps, 'uid' | 'gid'>) | { readonly kind: 'path'; readonly path: string };

/** What the process that holds a new namespace is started with; the directory is that of `SpawnInitOptions`. */
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

const SYNC_FD = 3;
/** Any tag but those of the format itself (program/FORMAT.md). */
const TAG_INSIDE = 16n;

/** A process that enters a new user namespace and holds it while its id maps are written and it is opened. */
const HOLD_NAMESPACE: Program = {
  name: 'make a user namespace for an idmapped mount',
  replies: true,
  steps: [
    call('unshare', [CLONE_NEWUSER], {
      label: 'create user namespace',
      pointer: '/mounts',
      purpose: 'create user namespace',
    }),
    call('write', [SYNC_FD, wordBlock([TAG_INSIDE], 'tag'), 8], { label: 'wait for the id maps' }),
  ],
};

async function makeNamespace(maps: IdmapNamespace & { kind: 'new' }, options: IdmapOptions): Promise<OwnedFd> {
  using nothing = openFile('/dev/null', O_RDWR);
  const callers = new Map([0, 1, 2].map((number) => [number, nothing.number]));
  const { pid, socket } = spawnInit({ ...options, syncFd: SYNC_FD, callers });
  const conversation = new Conversation(socket, { arch: options.arch, syncFd: SYNC_FD });
  try {
    await conversation.run(HOLD_NAMESPACE);
    // Only one who is privileged may mount with an id map, so the maps can be written directly.
    await writeIdMaps(pid, { uid: maps.uid, gid: maps.gid, uidTool: false, gidTool: false, denySetgroups: false });
    return openFile(`/proc/${pid}/ns/user`, O_RDONLY);
  } finally {
    // The end of the sync pipe ends the process.
    conversation.close();
    waitChild(pid);
  }
}
