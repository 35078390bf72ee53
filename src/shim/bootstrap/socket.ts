import { mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { hasErrno } from '../../sys/errno.ts';
import { sleep } from '../../sys/events/poll.ts';
import { setNonBlocking, type OwnedFd } from '../../sys/fd.ts';
import { openFile, tryLock } from '../../sys/file.ts';
import { O_DIRECTORY } from '../../sys/open-flags.ts';
import { connectUnix, listenUnix, type SocketType } from '../../sys/socket.ts';
import { O_RDONLY } from '../../util/constants.ts';
import { writeAtomically } from '../task/bundle-record.ts';

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

  /**
   * Whoever looks for this shim from now on makes another, in the same place: only once is there anything to remove. Not where `isRight`
   * says no; nobody looks for the shim meanwhile. Errors: `host`.
   */
  async remove(isRight = (): boolean => true): Promise<void> {
    using _lock = await lockDirectory(path.dirname(this.#path));
    if (!this.#isThere || !isRight()) return;
    rmSync(this.#path, { force: true });
    this.#isThere = false;
  }

  [Symbol.dispose](): void {
    this.fd.close();
  }
}

/**
 * Listens at the path of a group, which one shim does at a time; undefined when another does already. Errors: `host`.
 */
export async function listenForGroup(socket: string, type: SocketType = 'stream'): Promise<Listener | undefined> {
  mkdirSync(path.dirname(socket), { recursive: true, mode: 0o700 });
  requireOwn(path.dirname(socket));
  using _lock = await lockDirectory(path.dirname(socket));
  if (isServed(socket, type)) return undefined;
  rmSync(socket, { force: true });
  const listener = listenUnix(socket, type, { mode: 0o600, backlog: BACKLOG });
  setNonBlocking(listener.number);
  return new Listener(socket, listener);
}

/** In a bundle, the address of its shim: containerd reads it when it was started again. */
const ADDRESS = 'address';

/** Keeps it. Errors: those of node:fs. */
export function writeAddress(bundle: string, socket: string): void {
  writeAtomically(path.join(bundle, ADDRESS), `unix://${socket}`);
}

/** Path of the socket of a bundle's shim; undefined where there was none. Errors: those of node:fs. */
export function readAddress(bundle: string): string | undefined {
  try {
    return /^unix:\/\/(\/.+)$/.exec(readFileSync(path.join(bundle, ADDRESS), 'utf8'))?.[1];
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Removes the socket of a shim that has died. Errors: `host`. */
export async function removeDeadSocket(socket: string, type: SocketType = 'stream'): Promise<void> {
  try {
    using _lock = await lockDirectory(path.dirname(socket));
    if (!isServed(socket, type)) rmSync(socket, { force: true });
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
  }
}

/** Whether somebody listens at a path. Errors: `host`. */
export function isServed(socket: string, type: SocketType = 'stream'): boolean {
  try {
    connectUnix(socket, type).close();
    return true;
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ECONNREFUSED')) return false;
    throw error;
  }
}

/** Whoever can write there is whom containerd talks to. Errors: `host`. */
function requireOwn(directory: string): void {
  const { uid, mode } = statSync(directory);
  if (uid === process.geteuid?.() && (mode & 0o022) === 0) return;
  const found = `user ${uid} and mode 0${(mode & 0o777).toString(8)}`;
  throw new TsrunError(
    'host',
    `listen in ${JSON.stringify(directory)}: has ${found}, wanted one that only this user can write`,
  );
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
