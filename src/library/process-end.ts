import { readOomKills } from '../cgroup/oom.ts';
import type { CgroupReference } from '../cgroup/cgroup.ts';
import { StateDirectory } from '../container/store/directory.ts';
import { TsrunError } from '../errors.ts';
import { signalName } from '../util/signals.ts';
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

/** Counts the processes of a container that the kernel kills for want of memory. */
export class OomCounter {
  readonly #cgroup: CgroupReference;
  readonly #before: number | bigint;

  /** `isNew`: the container was made just now, and all that was ever counted counts. Errors: `not-found`, `state`. */
  constructor(root: string, id: string, { isNew }: { readonly isNew: boolean }) {
    using directory = new StateDirectory(root, id);
    this.#cgroup = directory.readRecord().cgroup;
    // A cgroup that was there before has counted for others.
    const isOwn = this.#cgroup.directories.every(({ hostPath, made }) => made.includes(hostPath));
    this.#before = isNew && isOwn && this.#cgroup.manager !== 'systemd' ? 0 : this.#read();
  }

  hasCounted(): boolean {
    return this.#read() > this.#before;
  }

  #read(): number | bigint {
    try {
      return readOomKills(this.#cgroup);
    } catch (error) {
      // Somebody has removed it.
      if (error instanceof TsrunError) return 0;
      throw error;
    }
  }
}
