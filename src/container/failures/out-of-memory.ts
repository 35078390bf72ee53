import { readOomKills } from '../../cgroup/oom.ts';
import { TsrunError } from '../../errors.ts';
import type { Integer } from '../../plan/cgroup/values.ts';
import type { Config } from '../../spec/generated/config.ts';
import type { ExitStatus } from '../../sys/process/wait.ts';
import { remedies } from '../../util/remedies.ts';
import type { Runtime } from '../caller/caller.ts';
import type { StateDirectory } from '../store/directory.ts';
import type { ContainerRecord } from '../store/record.ts';
import { readSavedConfig } from '../store/saved-config.ts';

/** A program that somebody has waited for. */
export interface EndedProgram {
  readonly status: ExitStatus;
  readonly directory: StateDirectory;
  readonly cgroup: ContainerRecord['cgroup'];
  /** What `readOomKills` said before it ran. */
  readonly oomKills: Integer;
}

const SIGKILL = 9;

/**
 * Says so where the kernel has killed a program for want of memory: an exit code of 137 has many causes. Nothing is read of one that ended
 * in another way.
 */
export function tellOutOfMemory({ log, caller }: Runtime, { status, directory, cgroup, oomKills }: EndedProgram): void {
  if (status.kind !== 'killed' || status.signal !== SIGKILL) return;
  if (readOomKills(cgroup) <= oomKills) return;
  const limit = readLimit(directory, caller);
  const why =
    limit === undefined
      ? 'it has no limit of its own, but a cgroup above it or the machine had none left'
      : `its limit of ${describeSize(limit)} was reached (/linux/resources/memory/limit of config.json); ${remedies.memory}`;
  log.warning(`${JSON.stringify(directory.id)} was killed for want of memory: ${why}`);
}

/** As it is by now: `update` writes it there. */
function readLimit(directory: StateDirectory, { loadConfig }: Runtime['caller']): bigint | undefined {
  let config: Config;
  try {
    config = readSavedConfig(directory, loadConfig);
  } catch (error) {
    // Somebody has removed the container meanwhile.
    if (error instanceof TsrunError) return undefined;
    throw error;
  }
  const limit = BigInt(config.linux?.resources?.memory?.limit ?? 0);
  return limit > 0n ? limit : undefined;
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

function describeSize(bytes: bigint): string {
  let value = bytes;
  let unit = 0;
  while (value % 1024n === 0n && unit + 1 < UNITS.length) {
    value /= 1024n;
    unit += 1;
  }
  return `${value} ${UNITS[unit] ?? ''}`;
}
