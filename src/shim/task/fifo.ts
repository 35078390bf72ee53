import { fstatSync } from 'node:fs';
import { hasErrno } from '../../sys/errno.ts';
import { sleep } from '../../sys/events/poll.ts';
import { setBlocking, type OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { nowMs } from '../../sys/clock.ts';
import { O_APPEND, O_NOCTTY, O_NONBLOCK, O_RDONLY, O_WRONLY } from '../../util/constants.ts';

/** The client makes its ends before it calls; its threads may be a moment late. */
const PATIENCE_MS = 10_000;
const PAUSE_MS_MAX = 20;

/** A place that output goes to: a FIFO, with an end of its other side that is kept so that a client can leave and come back; or a file. */
export interface Output {
  readonly kind: 'fifo' | 'device' | 'file';
  readonly fd: OwnedFd;
  readonly keeper?: OwnedFd;
}

/**
 * Opens what output goes to; it exists. A FIFO is waited for until somebody reads from it, for some seconds: who reads in time misses
 * nothing. Errors: `host`.
 */
export async function openOutput(path: string): Promise<Output> {
  const fd = await openForWriting(path);
  const stat = fstatSync(fd.number);
  setBlocking(fd.number);
  if (stat.isCharacterDevice()) return { kind: 'device', fd };
  if (!stat.isFIFO()) return { kind: 'file', fd };
  try {
    return { kind: 'fifo', fd, keeper: openFile(path, O_RDONLY | O_NONBLOCK) };
  } catch (error) {
    fd.close();
    throw error;
  }
}

async function openForWriting(path: string): Promise<OwnedFd> {
  const deadline = nowMs() + PATIENCE_MS;
  const flags = O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    try {
      return openFile(path, flags);
    } catch (error) {
      if (!hasErrno(error, 'ENXIO')) throw error;
      if (nowMs() >= deadline) break;
    }
    await sleep(pauseMs);
  }
  // Nobody reads: it goes into the FIFO all the same, for whoever comes.
  using _reader = openFile(path, O_RDONLY | O_NONBLOCK);
  return openFile(path, flags);
}

/** A place that input comes from; of a FIFO with an end to write that keeps it from ending before `CloseIO`. */
export interface Input {
  readonly fd: OwnedFd;
  readonly keeper?: OwnedFd;
}

/** Opens what input comes from. Errors: `host`. */
export function openInput(path: string): Input {
  const fd = openFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  setBlocking(fd.number);
  if (!fstatSync(fd.number).isFIFO()) return { fd };
  try {
    return { fd, keeper: openFile(path, O_WRONLY | O_NONBLOCK) };
  } catch (error) {
    fd.close();
    throw error;
  }
}
