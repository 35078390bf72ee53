import { O_CLOEXEC } from '../../util/constants.ts';
import { checked, hasErrno } from '../errno.ts';
import { OwnedFd } from '../fd.ts';
import { bindLibc } from '../library.ts';

const epollCreate = bindLibc('int epoll_create1(int flags)');
const epollCtl = bindLibc('int epoll_ctl(int epoll, int operation, int fd, void *event)');
const epollWait = bindLibc('int epoll_wait(int epoll, void *events, int count, int timeout_ms)');

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
/** Told once for each change, however long it stays ready. */
export const EPOLLET = 0x8000_0000;

/** struct epoll_event is packed on x86-64 alone: u32 events, then the 64 bits of data. */
const DATA_OFFSET = process.arch === 'x64' ? 4 : 8;
const EVENT_BYTES = DATA_OFFSET + 8;
/** More that are ready are told by the next look. */
const EVENTS_MAX = 64;

/** A descriptor that has something, and what: also POLLERR and POLLHUP, which nobody asks for. */
export interface Ready {
  readonly fd: number;
  /** POLLIN, POLLOUT and so on: they are the same bits. */
  readonly events: number;
}

/** A set of descriptors that can be waited for at once, and is itself readable while one of them is ready. Source: man 7 epoll. */
export class Epoll {
  readonly #fd = new OwnedFd(checked(epollCreate(O_CLOEXEC), 'make an epoll descriptor'));
  readonly #buffer = Buffer.alloc(EVENTS_MAX * EVENT_BYTES);

  get number(): number {
    return this.#fd.number;
  }

  /** False for a descriptor that is always ready, such as a regular file. Errors: `host` (EBADF, ENOSPC). */
  add(fd: number, events: number): boolean {
    try {
      this.#control(EPOLL_CTL_ADD, fd, events);
      return true;
    } catch (error) {
      if (hasErrno(error, 'EPERM')) return false;
      throw error;
    }
  }

  change(fd: number, events: number): void {
    this.#control(EPOLL_CTL_MOD, fd, events);
  }

  remove(fd: number): void {
    // One that was closed has left by itself (EBADF, ENOENT).
    epollCtl(this.number, EPOLL_CTL_DEL, fd, encodeEvent(fd, 0));
  }

  /** What is ready, waited for on this thread for at most `timeoutMs` (-1: for ever); nothing when a signal came first. */
  take(timeoutMs: number): Ready[] {
    const count = epollWait(this.number, this.#buffer, EVENTS_MAX, timeoutMs);
    return Array.from({ length: Math.max(0, count) }, (_, index) => ({
      events: this.#buffer.readUInt32LE(index * EVENT_BYTES),
      fd: this.#buffer.readInt32LE(index * EVENT_BYTES + DATA_OFFSET),
    }));
  }

  #control(operation: number, fd: number, events: number): void {
    checked(epollCtl(this.number, operation, fd, encodeEvent(fd, events)), `wait for descriptor ${fd}`);
  }
}

/** Filled for each call, which does not keep it. */
const EVENT = Buffer.alloc(EVENT_BYTES);

function encodeEvent(fd: number, events: number): Buffer {
  EVENT.writeUInt32LE(events >>> 0, 0);
  EVENT.writeInt32LE(fd, DATA_OFFSET);
  return EVENT;
}
