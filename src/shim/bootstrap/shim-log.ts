import { writeSync } from 'node:fs';
import { createLog, type LogSink } from '../../log.ts';
import { hasErrno } from '../../sys/errno.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { O_NONBLOCK, O_RDWR, O_WRONLY } from '../../util/constants.ts';

/** The FIFO in the bundle that containerd reads messages from; /dev/null where there is none. Errors: `host`. */
export function openLogFile(): OwnedFd {
  try {
    return openFile('log', O_WRONLY | O_NONBLOCK);
  } catch (error) {
    // ENXIO: nobody reads.
    if (!hasErrno(error, 'ENOENT', 'ENXIO')) throw error;
    return openFile('/dev/null', O_RDWR);
  }
}

/** The log of a shim. A message that containerd has no room for, or nobody reads, is lost: the shim does not wait. */
export function createShimLog(file: OwnedFd, { debug }: { readonly debug: boolean }): LogSink {
  const writeStderr = (text: string): void => {
    try {
      writeSync(file.number, text);
    } catch {
      // There is nowhere left to say so.
    }
  };
  return createLog({ format: 'text', level: debug ? 'debug' : 'warning', writeStderr });
}
