import type { CgroupWrite, ValueWrite } from '../plan/cgroup/plan.ts';
import { planUndo } from '../plan/cgroup/undo.ts';
import type { WriteTarget } from './apply.ts';
import { cgroupError, tryReadControlFile, writeControlFile } from './control-file.ts';

interface Remembered {
  readonly path: string;
  readonly write: ValueWrite;
  readonly value: string;
}

/**
 * Reads what writes are about to replace. The function it returns puts that back, whichever of the writes were made.
 *
 * Shape of its result: a failure of code `cgroup` for each value that could not be put back.
 */
export function rememberLimits(writes: readonly CgroupWrite[], targets: readonly WriteTarget[]): () => Error[] {
  const remembered = writes.flatMap((write): Remembered[] => {
    const target = targets[write.directory];
    return write.kind === 'value' && target !== undefined ? remember(write, target.hostPath) : [];
  });
  return () => putBack([...remembered].reverse());
}

function remember(write: ValueWrite, hostPath: string): Remembered[] {
  const path = `${hostPath}/${write.file}`;
  const before = readBefore(path);
  if (before !== undefined) return planUndo(write, before).map((value) => ({ path, write, value }));
  return write.orElse === undefined ? [] : remember(write.orElse, hostPath);
}

/** A cpuset of version 2 that says nothing is what the parent has; once it has processes it cannot say nothing again (ENOSPC). */
function readBefore(path: string): string | undefined {
  const text = tryReadControlFile(path);
  return text === '' && /cpuset\.(cpus|mems)$/.test(path) ? (tryReadControlFile(`${path}.effective`) ?? text) : text;
}

/** The kernel checks some values against others (memory and swap, quota and period): what it refuses may pass after the rest. */
function putBack(values: readonly Remembered[]): Error[] {
  let left = values;
  for (;;) {
    const failures: Error[] = [];
    const refused = left.filter((remembered) => {
      const { path, value } = remembered;
      try {
        writeControlFile(path, value);
        return false;
      } catch (error) {
        if (isAsBefore(remembered)) return false;
        failures.push(cgroupError(`write ${JSON.stringify(value)} to ${JSON.stringify(path)}`, error));
        return true;
      }
    });
    if (refused.length === 0 || refused.length === left.length) return failures;
    left = refused;
  }
}

/** What the kernel refused to set it also refuses to take away, such as a limit for a device that does not exist. */
function isAsBefore({ path, write, value }: Remembered): boolean {
  const now = tryReadControlFile(path);
  return now === undefined || planUndo(write, now).includes(value);
}
