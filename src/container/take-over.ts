import { reapChild, exitCode, type ExitStatus } from '../sys/process/wait.ts';
import { pidfdOpen } from '../sys/process/pidfd.ts';
import { waitReadable } from '../sys/events/poll.ts';
import { unblockSignals } from '../sys/events/signals.ts';
import { TsrunError } from '../errors.ts';
import { removeContainer } from './build/remove-container.ts';
import type { Runtime } from './caller/caller.ts';
import { Orphans } from './caller/orphans.ts';
import { waitInForeground } from './caller/relaying-foreground.ts';
import { StateDirectory } from './store/directory.ts';
import type { ExecOptions, RunOptions } from './store/options.ts';
import type { ContainerRecord } from './store/record.ts';

/** What is found of a container that was being made in this process's name when whoever made it ended. */
export interface Remains {
  /** Its creator had finished. */
  readonly isComplete: boolean;
  /** Pid of its init; undefined when there was none yet. */
  readonly pid: number | undefined;
}

/** What there is of a container of which this process counts as the creator; undefined where there is nothing of the kind. */
export function findRemains({ root, caller }: Runtime, id: string): Remains | undefined {
  using directory = new StateDirectory(root, id);
  const record = readRecord(directory);
  if (record === undefined) return undefined;
  const { creator, init, isComplete } = record;
  const own = caller.identity;
  if (creator.pid !== own.pid || creator.startTime !== own.startTime) return undefined;
  return { isComplete, pid: init?.pid };
}

/** Removes what `findRemains` has found, and takes the signals again that were to be the program's. Errors: those of delete. */
export async function removeRemains(runtime: Runtime, id: string): Promise<void> {
  unblockSignals();
  if (findRemains(runtime, id) !== undefined) await removeContainer(runtime, { id, force: true });
}

/**
 * Waits in the foreground for a program that runs already, a child of this process, and removes its container at the end unless it is to
 * be kept. Returns its exit code. Errors: those of run.
 */
export async function superviseContainer(runtime: Runtime, pid: number, options: RunOptions): Promise<number> {
  using orphans = options.subreaper === true ? new Orphans(pid) : undefined;
  const code = await superviseProcess(runtime, pid, options, () => orphans?.reap());
  if (!options.keep) await removeContainer(runtime, { id: options.id, force: true });
  return code;
}

/** The same for a process of `exec`. */
export async function superviseProcess(
  { caller }: Runtime,
  pid: number,
  options: Pick<ExecOptions, 'stdio' | 'forwardSignals'>,
  onSupervised: () => void = () => undefined,
): Promise<number> {
  using foreground = waitInForeground(caller, options);
  using pidfd = pidfdOpen(pid);
  await foreground.catchSignals(pidfd, () => {
    // Kept back since the launcher has had them as data: they are the program's.
    unblockSignals();
    return Promise.resolve();
  });
  onSupervised();
  return exitCode(await foreground.supervise(pidfd, () => waitForChild(pid, pidfd.number)));
}

async function waitForChild(pid: number, pidfd: number): Promise<ExitStatus> {
  await waitReadable(pidfd);
  const status = reapChild(pid);
  if (status === undefined) throw new Error('bug: a process has ended and cannot be reaped');
  return status;
}

function readRecord(directory: StateDirectory): ContainerRecord | undefined {
  try {
    return directory.readRecord();
  } catch (error) {
    // Nothing is there, or nothing that this process has made.
    if (error instanceof TsrunError) return undefined;
    throw error;
  }
}
