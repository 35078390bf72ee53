import { existsSync, readlinkSync } from 'node:fs';
import { openCgroup } from '../cgroup/select.ts';
import { isAlive } from './process-identity.ts';
import { INIT_IMAGE_NAME } from '../process/init-name.ts';
import type { ContainerStatus } from './runtime.ts';
import { INIT_SOCKET, type ContainerRecord, type StateDirectory } from './state-store.ts';

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
 * lives and still listens: created. It lives, its cgroup is frozen: paused. It lives: running. Otherwise: stopped.
 */
export type Status = ContainerStatus['status'];

/** The status as it is at this moment. */
export function currentStatus(directory: StateDirectory, record: ContainerRecord): Status {
  const { init, creator, isComplete } = record;
  const isGone = init === undefined || !isAlive(init);
  // A creator that is killed right after its init became the program never says that it has finished.
  if (!isComplete && (isGone || !hasBecomeProgram(init.pid))) {
    // Without a creator init is gone or about to go: there is nothing that could be started.
    return isAlive(creator) ? 'creating' : 'stopped';
  }
  if (isGone) return 'stopped';
  if (existsSync(directory.file(INIT_SOCKET)) && !hasBecomeProgram(init.pid)) return 'created';
  return openCgroup(record.cgroup).isFrozen() ? 'paused' : 'running';
}

/**
 * Whether init executes something else than its own image, as after a `start` that was killed before it could take the
 * socket away. Where its executable may not be looked at, the socket alone decides.
 */
function hasBecomeProgram(pid: number): boolean {
  try {
    return !readlinkSync(`/proc/${pid}/exe`).includes(INIT_IMAGE_NAME);
  } catch {
    return false;
  }
}
