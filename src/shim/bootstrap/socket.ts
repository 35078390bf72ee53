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

/** The place where a shim is found, and the descriptor that listens there without blocking. */
export class Listener implements Disposable {
  readonly fd: OwnedFd;
  readonly #path: string;
  #isThere = true;

  constructor(path: string, fd: OwnedFd) {
    this.#path = path;
    this.fd = fd;
  }

  /** Whoever looks for this shim from now on makes another, in the same place: only once is there anything to remove. Errors: `host`. */
  async remove(): Promise<void> {
    using _lock = await lockDirectory(path.dirname(this.#path));
    if (this.#isThere) rmSync(this.#path, { force: true });
    this.#isThere = false;
  }

  [Symbol.dispose](): void {
    this.fd.close();
  }
}

/**
 * Listens at the path of a group, which one shim does at a time; undefined when another does already. Errors: `host`.
 */
export async function listenForGroup(socket: string): Promise<Listener | undefined> {
  mkdirSync(path.dirname(socket), { recursive: true, mode: 0o700 });
  using _lock = await lockDirectory(path.dirname(socket));
  if (isServed(socket)) return undefined;
  rmSync(socket, { force: true });
  const listener = listenUnix(socket, 'stream', { mode: 0o600, backlog: BACKLOG });
  setNonBlocking(listener.number);
  return new Listener(socket, listener);
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
