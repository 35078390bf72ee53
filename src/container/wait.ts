import { TsrunError } from '../errors.ts';
import { hasHungUp, sleep, waitAny } from '../sys/events/poll.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { pidfdExitStatus } from '../sys/process/pidfd.ts';
import { exitCode, readWaitStatus, type ExitStatus } from '../sys/process/wait.ts';
import { POLLIN } from '../util/constants.ts';
import { StateDirectory } from './store/directory.ts';
import { readKeptEnd } from './store/ended.ts';
import type { RuntimeOptions } from './store/options.ts';
import { openUnreaped, readZombieStatus, type ProcessIdentity } from './store/process-identity.ts';

/**
 * Waits for the end of a container's first process, whoever its parent is. Shape: its exit code, 128 + n after a
 * signal; undefined when it has ended, and nobody can tell how.
 *
 * The kernel tells that to the parent, once, and to others only in passing:
 *
 *     runs        wait with its pidfd, which is readable at its end
 *     zombie      /proc/PID/stat has the status, until the parent takes it
 *     reaped      a pidfd that was opened before has it, from Linux 6.15 on
 *     later       what tsrun was told as its parent, and has kept
 *
 * Errors: `id`, `not-found`, `state`; `status` while it has no process yet; `host`.
 */
export async function waitForContainer(
  { root }: Pick<RuntimeOptions, 'root'>,
  id: string,
): Promise<number | undefined> {
  using directory = new StateDirectory(root, id);
  const { init } = directory.readRecord();
  if (init === undefined)
    throw new TsrunError('status', `wait for container ${JSON.stringify(id)}: it has no process yet`);
  using pidfd = openUnreaped(init);
  const status =
    pidfd === undefined
      ? readKeptEnd(directory, init)
      : ((await watchToEnd(pidfd, init)) ?? (await awaitKeptEnd(directory, init)));
  return status && exitCode(status);
}

/** Whoever keeps it does so right after the end. */
const KEPT_WITHIN_MS = 500;
const PAUSE_MS = 10;

async function awaitKeptEnd(directory: StateDirectory, init: ProcessIdentity): Promise<ExitStatus | undefined> {
  for (let waitedMs = 0; waitedMs < KEPT_WITHIN_MS; waitedMs += PAUSE_MS) {
    const kept = readKeptEnd(directory, init);
    if (kept !== undefined) return kept;
    await sleep(PAUSE_MS);
  }
  return undefined;
}

async function watchToEnd(pidfd: OwnedFd, init: ProcessIdentity): Promise<ExitStatus | undefined> {
  const fd = pidfd.number;
  await waitAny([{ fd, events: POLLIN }]);
  const ofZombie = readZombieStatus(init);
  if (ofZombie !== undefined) return readWaitStatus(ofZombie);
  // Its status may not be seen by this user before it is reaped, which hangs the descriptor up.
  if (pidfdExitStatus(fd) === undefined && !hasHungUp(fd)) await waitAny([{ fd, events: 0 }]);
  const word = pidfdExitStatus(fd);
  return word === undefined ? undefined : readWaitStatus(word);
}
