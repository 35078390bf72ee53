import { readFileSync } from 'node:fs';
import { PLANNER_NAME } from '../plan/launcher/acknowledge.ts';
import { killAndWait } from '../process/kill-and-wait.ts';
import { hasErrno } from '../sys/errno.ts';
import { OwnedFd } from '../sys/fd.ts';
import { pidfdOpen } from '../sys/process/pidfd.ts';
import { peerCredentials } from '../sys/socket.ts';

const DEATH_MS = 1_000;

/**
 * Takes leave of the planner that had begun this command, by the connection with it. One that is stopped is ended: when it went on later
 * it would do what this process does in its place.
 */
export async function leavePlanner(connection: number): Promise<void> {
  using socket = new OwnedFd(connection);
  const { pid } = peerCredentials(socket.number);
  if (pid === 0) return;
  try {
    using pidfd = pidfdOpen(pid);
    if (isStoppedPlanner(pid)) await killAndWait(pidfd, DEATH_MS);
  } catch (error) {
    if (!hasErrno(error, 'ESRCH', 'ENOENT')) throw error;
  }
}

function isStoppedPlanner(pid: number): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.startsWith(`${pid} (${PLANNER_NAME}) T`);
}
