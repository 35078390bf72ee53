import { TsrunError } from '../errors.ts';
import { checked } from './errno.ts';
import { bindLibc } from './library.ts';

const write = bindLibc('long write(int fd, const void *bytes, size_t count)');
const pread = bindLibc('long pread(int fd, void *bytes, size_t count, long offset)');
const pollCall = bindLibc('int poll(void *fds, unsigned long count, int timeout_ms)');

export const POLLIN = 1;
export const POLLPRI = 2;
export const POLLOUT = 4;

/** Writes all bytes. Errors: `host`. */
export function writeFully(fd: number, bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.length > 0) {
    const written = checked(write(fd, rest, rest.length), `write ${rest.length} bytes to descriptor ${fd}`);
    rest = rest.subarray(written);
  }
}

/** The bytes of a file from an offset to its end. Errors: `host`, also when there are more than `limit`. */
export function readAt(fd: number, offset: number, limit: number): Buffer {
  const bytes = Buffer.alloc(limit + 1);
  let length = 0;
  for (;;) {
    const rest = bytes.subarray(length);
    const count = checked(pread(fd, rest, rest.length, offset + length), `read descriptor ${fd}`);
    length += count;
    if (length > limit) throw new TsrunError('host', `read descriptor ${fd}: more than ${limit} bytes`);
    if (count === 0) return bytes.subarray(0, length);
  }
}

/** Whether the descriptor can be read (or has reached its end) within `timeoutMs`; blocks this thread so long. */
export function pollReadable(fd: number, timeoutMs: number): boolean {
  return pollCall(pollEntry(fd), 1, timeoutMs) > 0;
}

/**
 * Waits on a thread of the pool until the descriptor can be read or has reached its end; the event loop goes on.
 * Answers false when `timeoutMs` passed (-1 waits for ever).
 */
export async function waitReadable(fd: number, timeoutMs = -1): Promise<boolean> {
  return (await waitAny([{ fd, events: POLLIN }], timeoutMs)).length > 0;
}

export interface Interest {
  readonly fd: number;
  /** POLLIN, POLLPRI or POLLOUT; errors and the end of the other side are always told. */
  readonly events: number;
}

/**
 * The descriptors that have what is wanted of them, waited for like `waitReadable`; none when `timeoutMs` passed.
 *
 * Source: man 2 poll.
 */
export function waitAny(interests: readonly Interest[], timeoutMs = -1): Promise<readonly number[]> {
  const entries = Buffer.concat(interests.map(({ fd, events }) => pollEntry(fd, events)));
  return new Promise((resolve, reject) => {
    pollCall.async(entries, interests.length, timeoutMs, (error: Error | null, result: number) => {
      if (error !== null) reject(error);
      // EINTR (-1) tells nothing: look again. The entries stay referenced until here.
      else if (result < 0) waitAny(interests, timeoutMs).then(resolve, reject);
      else
        resolve(
          interests.filter((_, index) => entries.readInt16LE(index * POLL_ENTRY_BYTES + 6) !== 0).map(({ fd }) => fd),
        );
    });
  });
}

const POLL_ENTRY_BYTES = 8;

/** struct pollfd: int fd, short events, short revents. */
function pollEntry(fd: number, events = POLLIN): Buffer {
  const entry = Buffer.alloc(POLL_ENTRY_BYTES);
  entry.writeInt32LE(fd, 0);
  entry.writeInt16LE(events, 4);
  return entry;
}
