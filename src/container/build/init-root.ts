import { TsrunError } from '../../errors.ts';
import { hasErrno } from '../../sys/errno.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { O_DIRECTORY } from '../../sys/open-flags.ts';
import { O_PATH } from '../../util/constants.ts';
import { wording } from '../../util/wording.ts';
import type { ProcessHandle } from '../store/process-handle.ts';

/** A handle of the root directory of a container's init, owned by the caller. Errors: `status` when it has ended; `host`. */
export function openInitRoot(init: ProcessHandle): OwnedFd {
  try {
    const root = openFile(`${init.path}/root`, O_PATH | O_DIRECTORY);
    if (init.isAlive()) return root;
    root.close();
    throw new TsrunError('status', wording.execStopped);
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ESRCH')) throw new TsrunError('status', wording.execStopped);
    throw error;
  }
}
