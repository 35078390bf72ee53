import { readSync } from 'node:fs';
import { TsrunError } from '../errors.ts';

/** A document has some kilobytes; what is much larger is a mistake. */
const LIMIT_BYTES = 16 * 1024 * 1024;
const PAUSE_MS = 2;

/**
 * Reads a descriptor to its end, also one that is non-blocking.
 *
 * Errors: `host` when it cannot be read, and for more than 16 MiB.
 */
export function readText(fd: number): string {
  const chunks: Buffer[] = [];
  for (let total = 0; ;) {
    const chunk = Buffer.alloc(64 * 1024);
    const count = tryRead(fd, chunk);
    if (count === 0) return Buffer.concat(chunks).toString('utf8');
    if (count === 'later') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    else {
      total += count;
      if (total > LIMIT_BYTES) throw new TsrunError('host', `read descriptor ${fd}: more than ${LIMIT_BYTES} bytes`);
      chunks.push(chunk.subarray(0, count));
    }
  }
}

function tryRead(fd: number, chunk: Buffer): number | 'later' {
  try {
    return readSync(fd, chunk);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 'later';
    throw TsrunError.of('host', `read descriptor ${fd}`, error);
  }
}
