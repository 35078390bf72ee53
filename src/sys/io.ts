import { checked } from './errno.ts';
import { bindLibc } from './library.ts';

const write = bindLibc('long write(int fd, const void *bytes, size_t count)');
const pollCall = bindLibc('int poll(void *fds, unsigned long count, int timeout_ms)');

export const POLLIN = 1;

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
  return pollCall(pollEntries([fd]), 1, timeoutMs) > 0;
}

/**
 * Waits on a thread of the pool until the descriptor can be read or has reached its end; the event loop goes on.
 * Answers false when `timeoutMs` passed (-1 waits for ever).
 */
export async function waitReadable(fd: number, timeoutMs = -1): Promise<boolean> {
  return (await waitAnyReadable([fd], timeoutMs)).length > 0;
}

/** The same for several descriptors at once. Answers those that can be read; none when `timeoutMs` passed. */
export function waitAnyReadable(fds: readonly number[], timeoutMs = -1): Promise<number[]> {
  const entries = pollEntries(fds);
  return new Promise((resolve, reject) => {
    pollCall.async(entries, fds.length, timeoutMs, (error: Error | null, result: number) => {
      if (error !== null) reject(error);
      // EINTR (-1) tells nothing: look again. The entries stay referenced until here.
      else if (result < 0) waitAnyReadable(fds, timeoutMs).then(resolve, reject);
      else resolve(fds.filter((_, index) => entries.readInt16LE(index * ENTRY_SIZE + 6) !== 0));
    });
  });
}

const ENTRY_SIZE = 8;

/** struct pollfd[]: int fd, short events, short revents. */
function pollEntries(fds: readonly number[]): Buffer {
  const entries = Buffer.alloc(fds.length * ENTRY_SIZE);
  fds.forEach((fd, index) => {
    entries.writeInt32LE(fd, index * ENTRY_SIZE);
    entries.writeInt16LE(POLLIN, index * ENTRY_SIZE + 4);
  });
  return entries;
}
