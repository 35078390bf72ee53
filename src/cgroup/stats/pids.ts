import type { PidsStats } from './document.ts';
import { readInteger, readLines } from './read.ts';

/** The number of tasks; the same files on cgroup v1 and v2. */
export function readPids(hostPath: string | undefined): PidsStats {
  if (hostPath === undefined) return { current: 0, limit: 0 };
  const isUnlimited = readLines(hostPath, 'pids.max')[0] === 'max';
  return { current: readInteger(hostPath, 'pids.current'), limit: isUnlimited ? 0 : readInteger(hostPath, 'pids.max') };
}
