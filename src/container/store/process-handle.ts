import { hasErrno } from '../../sys/errno.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { pollReadable } from '../../sys/events/poll.ts';
import { O_DIRECTORY } from '../../sys/open-flags.ts';
import { O_PATH } from '../../util/constants.ts';
import { openProcess, type ProcessIdentity } from './process-identity.ts';

/** A process by handles that stay its own: when it has ended, its number may be another's, and these lead nowhere. */
export class ProcessHandle implements Disposable {
  readonly pidfd: OwnedFd;
  readonly #directory: OwnedFd;

  constructor(pidfd: OwnedFd, directory: OwnedFd) {
    this.pidfd = pidfd;
    this.#directory = directory;
  }

  /** Path of its directory below /proc. Files below it answer ENOENT or ESRCH when the process is gone. */
  get path(): string {
    return descriptorPath(this.#directory.number);
  }

  /** False once it has ended, reaped or not. */
  isAlive(): boolean {
    return !pollReadable(this.pidfd.number, 0);
  }

  [Symbol.dispose](): void {
    this.pidfd.close();
    this.#directory.close();
  }
}

/** Handles of this very process, owned by the caller; undefined when it is gone. Errors: `host`. */
export function openProcessHandle(identity: ProcessIdentity): ProcessHandle | undefined {
  const pidfd = openProcess(identity);
  if (pidfd === undefined) return undefined;
  const directory = openDirectory(identity.pid);
  if (directory === undefined) {
    pidfd.close();
    return undefined;
  }
  const handle = new ProcessHandle(pidfd, directory);
  // As long as it lives nobody else has its number: the directory that was opened is its own.
  if (handle.isAlive()) return handle;
  handle[Symbol.dispose]();
  return undefined;
}

function openDirectory(pid: number): OwnedFd | undefined {
  try {
    return openFile(`/proc/${pid}`, O_PATH | O_DIRECTORY);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
