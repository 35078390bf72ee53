import { hasErrno } from '../errno.ts';
import type { OwnedFd } from '../fd.ts';
import { connectUnix, sendPart, type SocketType } from '../socket.ts';
import { POLLOUT, sleep, waitAny } from './poll.ts';
import { nowMs } from '../clock.ts';

/** How long the other side may take to take a connection, and then a message. */
const PATIENCE_MS = 10_000;
const PAUSE_MS_MAX = 50;

/**
 * As `connectUnix`, where the other side may be busy: the event loop goes on meanwhile.
 *
 * The kernel announces no room in a full backlog: it is tried again and again. Errors: `host`; EAGAIN after 10 s.
 */
export async function reachUnix(path: string, type: SocketType): Promise<OwnedFd> {
  const deadline = nowMs() + PATIENCE_MS;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    try {
      return connectUnix(path, type, { nonBlocking: true });
    } catch (error) {
      if (!hasErrno(error, 'EAGAIN') || nowMs() >= deadline) throw error;
    }
    await sleep(pauseMs);
  }
}

/** Sends all of a message, with descriptors, on a socket of `reachUnix`. Errors: `host`; EAGAIN when it is not taken within 10 s. */
export async function deliver(socket: OwnedFd, bytes: Uint8Array, descriptors: readonly number[] = []): Promise<void> {
  let rest = bytes;
  let carried = descriptors;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(sendPart(socket.number, rest, carried));
      carried = [];
    } catch (error) {
      if (!hasErrno(error, 'EAGAIN')) throw error;
      const ready = await waitAny([{ fd: socket.number, events: POLLOUT }], PATIENCE_MS);
      if (ready.length === 0) throw error;
    }
  }
}
