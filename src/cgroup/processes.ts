import { errnoOf, tryReadControlFile } from './control-file.ts';
import { listTree } from './directory.ts';

/**
 * The processes of a cgroup and of all cgroups below it, ascending.
 *
 * Shape: `outside` counts those that live in a process namespace we cannot see into: the kernel lists them as 0.
 */
export function listProcesses(hostPath: string): { pids: number[]; outside: number } {
  const pids = new Set<number>();
  let outside = 0;
  for (const directory of listTree(hostPath)) {
    for (const line of readProcs(directory)) {
      if (line === '0') outside++;
      else pids.add(Number(line));
    }
  }
  return { pids: [...pids].sort((a, b) => a - b), outside };
}

function readProcs(directory: string): string[] {
  try {
    const text = tryReadControlFile(`${directory}/cgroup.procs`);
    return text === undefined || text === '' ? [] : text.split('\n');
  } catch (error) {
    // A threaded cgroup: its processes are listed by the domain above it, which is walked too.
    if (errnoOf(error) === 'EOPNOTSUPP' || errnoOf(error) === 'ENOTSUP') return [];
    throw error;
  }
}
