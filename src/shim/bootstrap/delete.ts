import path from 'node:path';
import { StateDirectory } from '../../container/store/directory.ts';
import { TsrunError } from '../../errors.ts';
import { Runtime } from '../../library/runtime.ts';
import { readBundleRecord, removeBundleRecord } from '../task/bundle-record.ts';
import { unmountRootfs } from '../task/rootfs.ts';
import { encode } from '../../protobuf/codec.ts';
import { timestampOf } from '../wire/common.ts';
import { METHODS } from '../wire/task.ts';
import { doorPath, sharedSocketPath } from './address.ts';
import type { ShimFlags } from './flags.ts';
import { askShared } from './shared.ts';
import { readAddress, removeDeadSocket } from './socket.ts';

/** The exit status of a container of which nobody knows more: as of a program that SIGKILL has ended. */
export const DELETE_STATUS = 137;
/** containerd has a patience of 5 s for all of it. */
const FORGET_MS = 2_000;

/**
 * Removes what is left of a container whose shim is gone; after a usual end, nothing. Returns the bytes of a DeleteResponse.
 *
 * Errors: those of the library; those of node:fs.
 */
export async function deleteLeft(flags: ShimFlags, warn: (message: string) => void): Promise<Buffer> {
  const { id, bundle: given } = flags;
  const bundle = given === '' ? '.' : given;
  const socket = readAddress(bundle);
  const isOfShared = socket === sharedSocketPath(flags);
  // One that lives may hold the container still, and is told before it is surprised.
  if (isOfShared) await forget(socket, id, warn);
  const pid = await removeByRecord(bundle, id, warn);
  if (socket !== undefined) await removeDeadSocket(socket);
  if (isOfShared) await removeDeadSocket(doorPath(bundle), 'seqpacket');
  return encodeKilled(pid);
}

/**
 * Removes a container, whatever it does, by what its bundle says of it. Returns the pid that it had, 0 where nothing is left. Errors: those
 * of the library; those of node:fs.
 */
export async function removeByRecord(bundle: string, id: string, warn: (message: string) => void): Promise<number> {
  const record = readBundleRecord(bundle);
  if (record === undefined) return 0;
  const runtime = new Runtime({ ...record, log: { warn, error: warn } });
  const pid = await removeContainer(runtime, id).catch((error: unknown) => {
    if (!(error instanceof TsrunError) || error.code !== 'not-found') throw error;
    // A shim that was killed while it made a container leaves a directory that says nothing of it.
    using directory = new StateDirectory(record.root, id);
    directory.remove();
    return 0;
  });
  unmountRootfs(path.join(bundle, 'rootfs'));
  removeBundleRecord(bundle);
  return pid;
}

/** The answer to `delete` of a container of which nothing is left. */
export function encodeKilled(pid: number): Buffer {
  return encode(METHODS.Delete.response, { pid, exitStatus: DELETE_STATUS, exitedAt: timestampOf(Date.now()) });
}

async function forget(socket: string, id: string, warn: (message: string) => void): Promise<void> {
  try {
    await askShared(socket, 'Forget', { id, timeoutMs: FORGET_MS });
  } catch (error) {
    warn(error instanceof Error ? error.message : String(error));
  }
}

/** The pid that it had. Errors: `not-found`; those of the library. */
async function removeContainer(runtime: Runtime, id: string): Promise<number> {
  const container = runtime.openContainer(id);
  await container.delete({ force: true });
  return container.pid;
}
