import type { ExitStatus } from '../../sys/process/wait.ts';
import type { StateDirectory } from './directory.ts';
import type { ProcessIdentity } from './process-identity.ts';

/** What is kept of the end of a container's first process, by whoever was told of it: `<root>/<id>/end.json`. */
interface KeptEnd {
  readonly process: ProcessIdentity;
  readonly status: ExitStatus;
}

/**
 * Keeps how the first process of a container has ended, for those who ask later. Nobody but its parent is told that, once.
 * Errors: `state`.
 */
export function keepEnd(directory: StateDirectory, process: ProcessIdentity, status: ExitStatus): void {
  directory.writeEnd(JSON.stringify({ process, status } satisfies KeptEnd));
}

/** What was kept of the end of this very process; undefined where nobody kept anything that can be read. */
export function readKeptEnd(directory: StateDirectory, { pid, startTime }: ProcessIdentity): ExitStatus | undefined {
  const text = directory.readEndText();
  if (text === undefined) return undefined;
  let kept: unknown;
  try {
    kept = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isKeptEnd(kept)) return undefined;
  return kept.process.pid === pid && kept.process.startTime === startTime ? kept.status : undefined;
}

function isKeptEnd(value: unknown): value is KeptEnd {
  const { process, status } = (value ?? {}) as { process?: Partial<ProcessIdentity>; status?: Partial<ExitStatus> };
  if (typeof process?.pid !== 'number' || typeof process.startTime !== 'string') return false;
  if (status?.kind === 'exited') return isByte(status.code);
  return status?.kind === 'killed' && isByte(status.signal);
}

function isByte(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255;
}
