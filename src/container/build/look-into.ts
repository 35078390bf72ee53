import { fstatSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { readNamespaces } from '../../host/facts.ts';
import { handedFiles, type NamespaceFile } from '../../plan/namespaces/hand-out.ts';
import type { HostFacts } from '../../plan/base/facts.ts';
import { EXCHANGES } from '../../plan/base/exchanges.ts';
import { connectToInit } from '../../process/accepted.ts';
import { hasErrno } from '../../sys/errno.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { O_DIRECTORY } from '../../sys/open-flags.ts';
import { waitReadable } from '../../sys/events/poll.ts';
import { receiveMessage } from '../../sys/socket.ts';
import { O_PATH } from '../../util/constants.ts';
import { wording } from '../../util/wording.ts';
import { INIT_SOCKET } from '../store/init-socket.ts';
import type { ProcessHandle } from '../store/process-handle.ts';
import type { StateDirectory } from '../store/directory.ts';
import type { ContainerRecord } from '../store/record.ts';

/** What was found out about the namespaces of a container's init. */
export interface InitView extends Disposable {
  /** File name below /proc/PID/ns -> inode number as decimal text. */
  readonly inodes: Readonly<Record<string, string>>;
  /** Handles, where init had to be asked for them. */
  readonly handles?: ReadonlyMap<NamespaceFile, OwnedFd>;
  /** Handle of its root, likewise. */
  readonly root?: OwnedFd;
}

/**
 * The namespaces of init. One that waits for `start` is not dumpable: its creator, where that is an ordinary user, asks init itself.
 *
 * Errors: `host`; `status` when it has ended.
 */
export async function lookInto(
  init: ProcessHandle,
  { directory, record, host }: { directory: StateDirectory; record: ContainerRecord; host: HostFacts },
): Promise<InitView> {
  const look = (): InitView => ({ inodes: readNamespaces(init.path), [Symbol.dispose]: () => undefined });
  try {
    return look();
  } catch (error) {
    if (record.handlesToken === undefined || !isRefused(error)) throw error;
  }
  // A `start` under way ends with a program that may be looked into.
  using _lock = await directory.lock();
  try {
    return await askInit(directory, record.handlesToken, handedFiles(host));
  } catch (error) {
    if (error instanceof TsrunError && error.code === 'status') return look();
    throw error;
  }
}

function isRefused(error: unknown): boolean {
  return hasErrno(error, 'EACCES', 'EPERM') || (error instanceof TsrunError && error.errno === 'EACCES');
}

/** It answers at once, or it does not wait any more. */
const PATIENCE_MS = 10_000;

async function askInit(directory: StateDirectory, token: string, files: readonly NamespaceFile[]): Promise<InitView> {
  const what = 'ask the waiting init for its namespaces';
  using connection = await connectToInit({ socketPath: directory.file(INIT_SOCKET), token });
  if (!(await waitReadable(connection.number, PATIENCE_MS)))
    throw new TsrunError('init', `${what}: no answer within 10 s`);
  const { bytes, descriptors } = receiveMessage(connection.number, 8);
  const dispose = (): void => {
    for (const fd of descriptors) fd.close();
  };
  const root = descriptors[files.length];
  if (bytes.length !== 8 || bytes.readBigUInt64LE(0) !== EXCHANGES.handles.tag || root === undefined) {
    dispose();
    throw new TsrunError('init', `${what}: it sent ${descriptors.length} descriptors, wanted ${files.length + 1}`);
  }
  const handles = new Map(files.flatMap((file, index) => descriptors.slice(index, index + 1).map((fd) => [file, fd])));
  const inodes = Object.fromEntries(
    [...handles].map(([file, fd]) => [file, String(fstatSync(fd.number, { bigint: true }).ino)]),
  );
  return { inodes, handles, root, [Symbol.dispose]: dispose };
}

/** A handle of the root directory of a container's init, owned by the caller. Errors: `status` when it has ended; `host`. */
export function openInitRoot(init: ProcessHandle): OwnedFd {
  try {
    const root = openFile(`${init.path}/root`, O_PATH | O_DIRECTORY);
    if (init.isAlive()) return root;
    root.close();
    throw new TsrunError('status', wording.execStopped);
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ESRCH')) throw new TsrunError('status', wording.execStopped);
    throw error;
  }
}
