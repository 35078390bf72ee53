import { writeSync } from 'node:fs';
import { TsrunError } from '../errors.ts';

// A reader of a pipe that takes nothing for so long is taken for dead.
const longestWaitMs = 30_000;
const pauseMs = 2;

/**
 * Writes all of a text to a descriptor before it returns, so that nothing is lost when the process exits.
 *
 * A reader that has gone away ends the writing without an error: what it has read was enough for it; the answer is false then. Errors:
 * `host` for any other failure, and when a full non-blocking pipe is not read from for 30 seconds.
 */
export function writeText(fd: number, text: string): boolean {
  let rest = Buffer.from(text);
  let waitedMs = 0;
  while (rest.length > 0) {
    const written = tryWrite(fd, rest);
    if (written === 'closed') return false;
    rest = rest.subarray(written);
    waitedMs = written === 0 ? waitedMs + pauseMs : 0;
    if (waitedMs > longestWaitMs) throw TsrunError.of('host', `write to descriptor ${fd}`, 'EAGAIN');
    if (written === 0) pause(pauseMs);
  }
  return true;
}

function tryWrite(fd: number, bytes: Buffer): number | 'closed' {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code;
    // The descriptor is shared with other processes, any of which may have made it non-blocking.
    if (errno === 'EAGAIN') return 0;
    if (errno === 'EPIPE') return 'closed';
    throw TsrunError.of('host', `write to descriptor ${fd}`, error);
  }
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
