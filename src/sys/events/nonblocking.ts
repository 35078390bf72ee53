import { fstatSync } from 'node:fs';
import { MSG_DONTWAIT, MSG_NOSIGNAL, O_NOCTTY, O_NONBLOCK, O_RDONLY, O_WRONLY } from '../../util/constants.ts';
import { checked, hasErrno, lastErrno } from '../errno.ts';
import { descriptorPath, duplicateAbove, type OwnedFd } from '../fd.ts';
import { openFile } from '../file.ts';
import { bindLibc } from '../library.ts';

const readCall = bindLibc('long read(int fd, void *bytes, size_t count)');
const writeCall = bindLibc('long write(int fd, const void *bytes, size_t count)');
const recvCall = bindLibc('long recv(int fd, void *bytes, size_t count, int flags)');
const sendCall = bindLibc('long send(int fd, const void *bytes, size_t count, int flags)');

/**
 * A descriptor of somebody else, read or written without waiting.
 *
 * O_NONBLOCK belongs to the open file description, which others share, such as the shell that goes on to read the same terminal: pipes
 * and terminals are opened once more for a description of their own. Where that is refused, and for files, the call itself may wait for
 * a moment after the descriptor was found ready.
 */
export class NonBlocking implements Disposable {
  readonly #fd: OwnedFd;
  readonly #isSocket: boolean;

  /** The descriptor remains its owner's. */
  constructor(fd: number, access: 'read' | 'write') {
    const stat = fstatSync(fd);
    this.#isSocket = stat.isSocket();
    const isTerminal = stat.isCharacterDevice() && TERMINAL_MAJORS.has((stat.rdev >> 8) & 0xfff);
    const flags = (access === 'read' ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_NOCTTY;
    this.#fd = (stat.isFIFO() || isTerminal ? reopen(fd, flags) : undefined) ?? duplicateAbove(fd, 3);
  }

  get number(): number {
    return this.#fd.number;
  }

  /** How many bytes there were, 0 at the end, undefined when there are none now. Errors: `host` (EIO of a terminal that has hung up). */
  read(bytes: Buffer): number | undefined {
    const count = this.#isSocket
      ? recvCall(this.number, bytes, bytes.length, MSG_DONTWAIT)
      : readCall(this.number, bytes, bytes.length);
    return isNotNow(count) ? undefined : checked(count, `read descriptor ${this.number}`);
  }

  /** How many bytes were taken, 0 when none can be now. Errors: `host` (EPIPE, EIO). */
  write(bytes: Buffer): number {
    const count = this.#isSocket
      ? sendCall(this.number, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL)
      : writeCall(this.number, bytes, bytes.length);
    return isNotNow(count) ? 0 : checked(count, `write to descriptor ${this.number}`);
  }

  [Symbol.dispose](): void {
    this.#fd.close();
  }
}

/** Consoles and the slaves of pseudo-terminals. Not /dev/ptmx: to open it once more makes another terminal. */
const TERMINAL_MAJORS: ReadonlySet<number> = new Set([4, 136, 137, 138, 139, 140, 141, 142, 143]);

function reopen(fd: number, flags: number): OwnedFd | undefined {
  try {
    return openFile(descriptorPath(fd), flags);
  } catch (error) {
    // Somebody else's, without a reader, hung up, or no /proc.
    if (hasErrno(error, 'EACCES', 'EPERM', 'ENXIO', 'EIO', 'EBUSY', 'ENOENT')) return undefined;
    throw error;
  }
}

function isNotNow(result: number): boolean {
  return result < 0 && ['EAGAIN', 'EINTR'].includes(lastErrno());
}
