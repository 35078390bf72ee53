import { FD_CLOEXEC, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, O_NONBLOCK } from '../util/constants.ts';
import { bindLibc } from './library.ts';
import { checked } from './errno.ts';

const closeCall = bindLibc('int close(int fd)');
const fcntl = bindLibc('int fcntl(int fd, int cmd, long arg)');

/** A descriptor with one owner: closed once, at the end of the `using` scope or by hand. */
export class OwnedFd implements Disposable {
  #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The number. Using a closed one is a bug. */
  get number(): number {
    if (this.#fd < 0) throw new Error('bug: a closed descriptor is used');
    return this.#fd;
  }

  get isOpen(): boolean {
    return this.#fd >= 0;
  }

  /** Gives the number away; the owner no longer closes it. */
  release(): number {
    const fd = this.number;
    this.#fd = -1;
    return fd;
  }

  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    // close(2) releases the number whatever it answers; EINTR and EIO leave nothing to do.
    closeCall(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The path of an open file of this process, for calls that take no descriptor. */
export function descriptorPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/** Duplicates a descriptor to the lowest free number from `minimum` upwards, close-on-exec. Errors: `host`. */
export function duplicateAbove(fd: number, minimum: number): OwnedFd {
  return new OwnedFd(checked(fcntl(fd, F_DUPFD_CLOEXEC, minimum), `duplicate descriptor ${fd}`));
}

/** Has a descriptor closed by execve(2), or not. Nothing happens when there is none of that number. */
export function setCloseOnExec(fd: number, { closes } = { closes: true }): void {
  fcntl(fd, F_SETFD, closes ? FD_CLOEXEC : 0);
}

/** Has no call wait on an open file description, which all who have a duplicate share. */
export function setNonBlocking(fd: number): void {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | O_NONBLOCK);
}

/** Has calls wait again. */
export function setBlocking(fd: number): void {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) & ~O_NONBLOCK);
}

/** True when the number is an open descriptor of this process. */
export function isOpenFd(fd: number): boolean {
  return fcntl(fd, F_GETFD, 0) >= 0;
}
