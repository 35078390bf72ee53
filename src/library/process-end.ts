import { readOomKills } from '../cgroup/oom.ts';
import type { CgroupReference } from '../cgroup/cgroup.ts';
import type { OomCount } from '../container/store/options.ts';
import { StateDirectory } from '../container/store/directory.ts';
import { keepEnd } from '../container/store/ended.ts';
import type { ProcessIdentity } from '../container/store/process-identity.ts';
import type { ContainerRecord } from '../container/store/record.ts';
import { TsrunError } from '../errors.ts';
import { parseSignal, signalName } from '../util/signals.ts';
import type { ExitStatus } from '../sys/process/wait.ts';

/** How a process ended. */
export interface ProcessEnd {
  /**
   * The exit code. Undefined when a signal has ended it; and, with `signal`, when nobody can tell, because it was no child of this process:
   * another one had made it.
   */
  readonly code: number | undefined;
  /** The signal that has ended it, such as `SIGKILL`. */
  readonly signal: string | undefined;
  /** Whether the kernel has killed a process of the container for want of memory since this one was there. */
  readonly oomKilled: boolean;
}

/** What an end looks like from outside; without a status nobody can tell more than that. */
export function describeEnd(status: ExitStatus | undefined, oomKilled: boolean): ProcessEnd {
  return {
    code: status?.kind === 'exited' ? status.code : undefined,
    signal: status?.kind === 'killed' ? signalName(status.signal) : undefined,
    oomKilled,
  };
}

/**
 * What keeps the end of a container's first process for `tsrun wait`, which asks when this process may be gone. A container that is gone by
 * then is asked for by nobody. Errors: `not-found`, `state`.
 */
export function endKeeper(root: string, id: string): (end: ProcessEnd) => void {
  const { init } = readRecord(root, id);
  return ({ code, signal }) => {
    const status = statusOf({ code, signal });
    using directory = new StateDirectory(root, id);
    if (init === undefined || status === undefined || !hasContainer(directory, init)) return;
    keepEnd(directory, init, status);
  };
}

/** Undefined where nobody can tell. */
function statusOf({ code, signal }: Pick<ProcessEnd, 'code' | 'signal'>): ExitStatus | undefined {
  if (code !== undefined) return { kind: 'exited', code };
  const number = signal === undefined ? undefined : parseSignal(signal);
  return number === undefined ? undefined : { kind: 'killed', signal: number };
}

function hasContainer(directory: StateDirectory, { pid, startTime }: ProcessIdentity): boolean {
  try {
    const { init } = directory.readRecord();
    return init?.pid === pid && init.startTime === startTime;
  } catch (error) {
    if (error instanceof TsrunError && (error.code === 'not-found' || error.code === 'state')) return false;
    throw error;
  }
}

function readRecord(root: string, id: string): ContainerRecord {
  using directory = new StateDirectory(root, id);
  return directory.readRecord();
}

/** Counts the processes of a container that the kernel kills for want of memory. */
export class OomCounter {
  readonly #cgroup: CgroupReference;
  readonly #before: number | bigint;

  /** Counts from what is known. */
  constructor({ cgroup, oomKills }: OomCount) {
    this.#cgroup = cgroup;
    this.#before = oomKills;
  }

  /** `isNew`: the container was made just now, and all that was ever counted counts. Errors: `not-found`, `state`. */
  static of(root: string, id: string, { isNew }: { readonly isNew: boolean }): OomCounter {
    const { cgroup } = readRecord(root, id);
    // A cgroup that was there before has counted for others.
    const isOwn = cgroup.directories.every(({ hostPath, made }) => made.includes(hostPath));
    const isZero = isNew && isOwn && cgroup.manager !== 'systemd';
    return new OomCounter({ cgroup, oomKills: isZero ? 0 : readKills(cgroup) });
  }

  hasCounted(): boolean {
    return readKills(this.#cgroup) > this.#before;
  }
}

function readKills(cgroup: CgroupReference): number | bigint {
  try {
    return readOomKills(cgroup);
  } catch (error) {
    // Somebody has removed it.
    if (error instanceof TsrunError) return 0;
    throw error;
  }
}
