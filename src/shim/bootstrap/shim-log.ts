import { fstatSync, writeSync } from 'node:fs';
import path from 'node:path';
import { createLog, type LogSink } from '../../log.ts';
import { hasErrno } from '../../sys/errno.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { O_NOFOLLOW } from '../../sys/open-flags.ts';
import { O_NONBLOCK, O_RDWR, O_WRONLY } from '../../util/constants.ts';

/** In a bundle, the FIFO that containerd reads messages from. */
const NAME = 'log';

/** That of the working directory; /dev/null where there is none. Errors: `host`. */
export function openLogFile(): OwnedFd {
  try {
    return openFile(NAME, O_WRONLY | O_NONBLOCK);
  } catch (error) {
    // ENXIO: nobody reads.
    if (!hasErrno(error, 'ENOENT', 'ENXIO')) throw error;
    return openFile('/dev/null', O_RDWR);
  }
}

/** The log of a shim. A message that containerd has no room for, or nobody reads, is lost: the shim does not wait. */
export function createShimLog(write: (text: string) => void, { debug }: { readonly debug: boolean }): LogSink {
  const writeStderr = (text: string): void => {
    try {
      write(text);
    } catch {
      // There is nowhere left to say so.
    }
  };
  return createLog({ format: 'text', level: debug ? 'debug' : 'warning', writeStderr });
}

/** Writes to the first of some bundles that takes it: containerd makes one log of all of theirs. */
export function writeToAny(bundles: readonly string[], text: string): void {
  bundles.some((bundle) => writesTo(bundle, text));
}

function writesTo(bundle: string, text: string): boolean {
  try {
    using file = openFile(path.join(bundle, NAME), O_WRONLY | O_NONBLOCK | O_NOFOLLOW);
    if (!fstatSync(file.number).isFIFO()) return false;
    writeSync(file.number, text);
    return true;
  } catch {
    // Nobody reads there any more.
    return false;
  }
}
