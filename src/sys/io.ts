import { checked } from './errno.ts';
import { bindLibc } from './library.ts';

const write = bindLibc('long write(int fd, const void *bytes, size_t count)');
const pollCall = bindLibc('int poll(void *fds, unsigned long count, int timeout_ms)');

export const POLLIN = 1;
export const POLLPRI = 2;

/** Writes all bytes. Errors: `host`. */
export function writeFully(fd: number, bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.length > 0) {
    const written = checked(write(fd, rest, rest.length), `write ${rest.length} bytes to descriptor ${fd}`);
    rest = rest.subarray(written);
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
  const [isReady = false] = await waitAny([{ fd, events: POLLIN }], timeoutMs);
  return isReady;
}

/** A descriptor and the events to wait for. */
export interface PollEntry {
  readonly fd: number;
  readonly events: number;
}

/** As `waitReadable` for several descriptors: whether something happened on each, all false when `timeoutMs` passed. */
export function waitAny(entries: readonly PollEntry[], timeoutMs = -1): Promise<boolean[]> {
  const buffer = Buffer.concat(entries.map(({ fd, events }) => pollEntry(fd, events)));
  return new Promise((resolve, reject) => {
    pollCall.async(buffer, entries.length, timeoutMs, (error: Error | null, result: number) => {
      if (error !== null) reject(error);
      // EINTR (-1) tells nothing: look again. The buffer stays referenced until here.
      else if (result < 0) waitAny(entries, timeoutMs).then(resolve, reject);
      else resolve(entries.map((_, index) => buffer.readInt16LE(index * POLL_ENTRY_BYTES + 6) !== 0));
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
