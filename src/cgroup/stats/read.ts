import { readdirSync } from 'node:fs';
import type { CounterReader } from '../../plan/cgroup/controllers/counters.ts';
import { errnoOf, tryReadControlFile } from '../control-file.ts';

/** Reads the control files of one cgroup. Errors: those of node:fs, but for files that the kernel does not have. */
export function counterReader(hostPath: string): CounterReader {
  return {
    lines: (file) => (tryRead(`${hostPath}/${file}`) ?? '').split('\n').filter((line) => line !== ''),
    names: () => {
      try {
        return readdirSync(hostPath);
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return [];
        throw error;
      }
    },
  };
}

/** Pressure files answer EOPNOTSUPP when the kernel was told not to count. */
function tryRead(path: string): string | undefined {
  try {
    return tryReadControlFile(path);
  } catch (error) {
    if (errnoOf(error) === 'EOPNOTSUPP' || errnoOf(error) === 'ENOTSUP') return undefined;
    throw error;
  }
}
