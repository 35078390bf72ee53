import { readFileSync } from 'node:fs';
import { hasErrno } from '../sys/errno.ts';
import type { OwnedFd } from '../sys/fd.ts';
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

/** How long an init that has lost its creator may take to end, on a busy machine. */
const END_MS = 200;
const LOOK_EVERY_MS = 5;
const DECISION_MS = 10_000;
/** It was forked and has executed nothing since (include/linux/sched.h); kept by a zombie. */
const PF_FORKNOEXEC = 0x40;

/** What is found of a container that was being made in this process's name when whoever made it ended. */
export interface Remains {
  /** Its creator had finished. */
  readonly isComplete: boolean;
  /** Pid of its init; undefined when there was none yet. */
  readonly pid: number | undefined;
}

/** A program that this process has not started, and is the parent of. */
export interface Running {
  readonly pid: number;
  /** The signals that are kept back for it, bit n - 1 for signal n. */
  readonly blocked: bigint;
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

/** Whether init waits for `start`: one whose creator had not told it to ends with that creator. */
export async function isParked(pid: number): Promise<boolean> {
  return await withPidfd(pid, async (pidfd) => !(await waitReadable(pidfd.number, END_MS)));
}

/**
 * Whether init has become the program, which may have ended as well. It was cloned and executes nothing before; one that was not yet told
 * to ends with its creator.
 */
export async function hasExecuted(pid: number): Promise<boolean> {
  return await withPidfd(pid, async (pidfd) => {
    for (let waitedMs = 0; waitedMs < DECISION_MS; waitedMs += LOOK_EVERY_MS) {
      const flags = readFlags(pid);
      if (flags === undefined) return false;
      if ((flags & PF_FORKNOEXEC) === 0) return true;
      if (await waitReadable(pidfd.number, LOOK_EVERY_MS))
        return ((readFlags(pid) ?? PF_FORKNOEXEC) & PF_FORKNOEXEC) === 0;
    }
    return false;
  });
}

async function withPidfd(pid: number, ask: (pidfd: OwnedFd) => Promise<boolean>): Promise<boolean> {
  try {
    using pidfd = pidfdOpen(pid);
    return await ask(pidfd);
  } catch (error) {
    if (hasErrno(error, 'ESRCH')) return false;
    throw error;
  }
}

/** Field 9 of /proc/PID/stat; undefined when the process is gone. Source: man 5 proc_pid_stat. */
function readFlags(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6]);
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

/** Finishes what the creator of a container had left to do when its program ran. Errors: `state`. */
export function completeRemains({ root }: Pick<Runtime, 'root'>, id: string): void {
  using directory = new StateDirectory(root, id);
  const record = readRecord(directory);
  if (record?.isComplete === false) directory.writeRecord({ ...record, isComplete: true });
}

/** Signals that the launcher has had as data act on this process again: bit n - 1 for signal n. */
export function takeSignals(blocked: bigint): void {
  unblockSignals(blocked);
}

/** Removes what `findRemains` has found. Errors: those of delete. */
export async function removeRemains(runtime: Runtime, id: string): Promise<void> {
  if (findRemains(runtime, id) !== undefined) await removeContainer(runtime, { id, force: true });
}

/**
 * Waits in the foreground for a program that runs already, a child of this process, and removes its container at the end unless it is to
 * be kept. Returns its exit code. Errors: those of run.
 */
export async function superviseContainer(runtime: Runtime, running: Running, options: RunOptions): Promise<number> {
  using orphans = options.subreaper === true ? new Orphans(running.pid) : undefined;
  const code = await superviseProcess(runtime, running, options, () => orphans?.reap());
  if (!options.keep) await removeContainer(runtime, { id: options.id, force: true });
  return code;
}

/** The same for a process of `exec`. */
export async function superviseProcess(
  { caller }: Runtime,
  { pid, blocked }: Running,
  options: Pick<ExecOptions, 'stdio' | 'forwardSignals'>,
  onSupervised: () => void = () => undefined,
): Promise<number> {
  using foreground = waitInForeground(caller, options);
  using pidfd = pidfdOpen(pid);
  await foreground.catchSignals(pidfd, () => {
    // Kept back since the launcher has had them as data: they are the program's.
    unblockSignals(blocked);
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
