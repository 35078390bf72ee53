import { readFileSync } from 'node:fs';
import path from 'node:path';
import { StateDirectory } from '../../container/store/directory.ts';
import { TsrunError } from '../../errors.ts';
import { Runtime } from '../../library/runtime.ts';
import { hasErrno } from '../../sys/errno.ts';
import { readBundleRecord, removeBundleRecord } from '../task/bundle-record.ts';
import { unmountRootfs } from '../task/rootfs.ts';
import { encode } from '../wire/codec.ts';
import { timestampOf } from '../wire/common.ts';
import { METHODS } from '../wire/task.ts';
import type { ShimFlags } from './flags.ts';
import { removeDeadSocket } from './socket.ts';

/** As of a program that SIGKILL has ended. */
const EXIT_STATUS = 137;

/**
 * Removes what is left of a container whose shim is gone; after a usual end, nothing. Returns the bytes of a DeleteResponse.
 *
 * Errors: those of the library; those of node:fs.
 */
export async function deleteLeft({ id, bundle: given }: ShimFlags, warn: (message: string) => void): Promise<Buffer> {
  const bundle = given === '' ? '.' : given;
  const record = readBundleRecord(bundle);
  let pid = 0;
  if (record !== undefined) {
    const runtime = new Runtime({ ...record, log: { warn, error: warn } });
    pid = await removeContainer(runtime, id).catch((error: unknown) => {
      if (!(error instanceof TsrunError) || error.code !== 'not-found') throw error;
      // A shim that was killed while it made a container leaves a directory that says nothing of it.
      using directory = new StateDirectory(record.root, id);
      directory.remove();
      return 0;
    });
    unmountRootfs(path.join(bundle, 'rootfs'));
    removeBundleRecord(bundle);
  }
  const socket = readSocket(bundle);
  if (socket !== undefined) await removeDeadSocket(socket);
  return encode(METHODS.Delete.response, { pid, exitStatus: EXIT_STATUS, exitedAt: timestampOf(Date.now()) });
}

/** The pid that it had. Errors: `not-found`; those of the library. */
async function removeContainer(runtime: Runtime, id: string): Promise<number> {
  const container = runtime.openContainer(id);
  await container.delete({ force: true });
  return container.pid;
}

function readSocket(bundle: string): string | undefined {
  try {
    return /^unix:\/\/(\/.+)$/.exec(readFileSync(path.join(bundle, 'address'), 'utf8'))?.[1];
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
