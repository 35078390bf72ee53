import { readlinkSync } from 'node:fs';
import { openCgroup } from '../../cgroup/select.ts';
import { hasInitSocket } from './init-socket.ts';
import { isAlive } from './process-identity.ts';
import { INIT_IMAGE_NAME } from '../../process/init-name.ts';
import type { ContainerStatus } from './options.ts';
import type { StateDirectory } from './directory.ts';
import type { ContainerRecord } from './record.ts';

/**
 * The statuses of a container (runtime.md, "State") and what leads from one to the next:
 *
 *     create                    start                  program ends
 *       |                         |                         |
 *     creating --> created ----> running -----------------> stopped --> delete
 *        |            |           |    ^                      ^
 *        |            |      pause|    |resume                |
 *        |            |           v    |                      |
 *        |            |          paused ----- kill -----------+
 *        +------------+------------- failure, kill -----------+
 *
 * Nothing of it is written down: the status follows from what is there. The creator lives and has not finished: creating. Init
 * lives and is still init: created. It lives, its cgroup is frozen: paused. It lives: running. Otherwise: stopped.
 */
export type Status = ContainerStatus['status'];

/** The status as it is at this moment. */
export function currentStatus(directory: StateDirectory, record: ContainerRecord): Status {
  const { init, creator, isComplete } = record;
  const isGone = init === undefined || !isAlive(init);
  // A creator that is killed right after its init became the program never says that it has finished.
  const image = isGone ? 'unknown' : imageOf(init.pid);
  if (!isComplete && image !== 'program') {
    // Without a creator init is gone or about to go: there is nothing that could be started.
    return isAlive(creator) ? 'creating' : 'stopped';
  }
  if (isGone) return 'stopped';
  if (image === 'init' || (image === 'unknown' && hasInitSocket(directory))) return 'created';
  return openCgroup(record.cgroup).isFrozen() ? 'paused' : 'running';
}

/**
 * What the process executes: the image of init until `start` has done its last. Where that may not be looked at, as with one whose
 * first thread has ended, the socket decides, which `start` takes away right before.
 */
function imageOf(pid: number): 'init' | 'program' | 'unknown' {
  try {
    return readlinkSync(`/proc/${pid}/exe`).includes(INIT_IMAGE_NAME) ? 'init' : 'program';
  } catch {
    return 'unknown';
  }
}
