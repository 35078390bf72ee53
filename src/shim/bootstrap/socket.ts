import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { hasErrno } from '../../sys/errno.ts';
import { sleep } from '../../sys/events/poll.ts';
import { setNonBlocking, type OwnedFd } from '../../sys/fd.ts';
import { openFile, tryLock } from '../../sys/file.ts';
import { O_DIRECTORY } from '../../sys/open-flags.ts';
import { connectUnix, listenUnix } from '../../sys/socket.ts';
import { O_RDONLY } from '../../util/constants.ts';

const BACKLOG = 4096;
const LOCK_TRIES = 500;
const LOCK_PAUSE_MS = 10;

/**
 * Listens at the path of a group, which one shim does at a time; undefined when another does already. Errors: `host`.
 */
export async function listenForGroup(socket: string): Promise<OwnedFd | undefined> {
  mkdirSync(path.dirname(socket), { recursive: true, mode: 0o700 });
  using _lock = await lockDirectory(path.dirname(socket));
  if (isServed(socket)) return undefined;
  rmSync(socket, { force: true });
  const listener = listenUnix(socket, 'stream', { mode: 0o600, backlog: BACKLOG });
  setNonBlocking(listener.number);
  return listener;
}

/** Removes the socket of a shim that has died. Errors: `host`. */
export async function removeDeadSocket(socket: string): Promise<void> {
  try {
    using _lock = await lockDirectory(path.dirname(socket));
    if (!isServed(socket)) rmSync(socket, { force: true });
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
  }
}

function isServed(socket: string): boolean {
  try {
    connectUnix(socket, 'stream').close();
    return true;
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ECONNREFUSED')) return false;
    throw error;
  }
}

/** Whoever looks for a shim and makes one does so alone. */
async function lockDirectory(directory: string): Promise<OwnedFd> {
  const fd = openFile(directory, O_RDONLY | O_DIRECTORY);
  for (let tries = 0; tries < LOCK_TRIES; tries += 1) {
    if (tryLock(fd.number)) return fd;
    await sleep(LOCK_PAUSE_MS);
  }
  fd.close();
  throw new TsrunError('host', `lock ${JSON.stringify(directory)}: another shim holds it`);
}
