import { readFileSync } from 'node:fs';
import type { State } from './rig.ts';
import { slowness } from './surroundings.ts';

interface Commander {
  tsrun(args: readonly string[]): Promise<{ readonly code: number | null; readonly stdout: string }>;
}

/** Waits until a container exists and has a status. */
export async function waitForState(rig: Commander, id: string, wanted: string): Promise<void> {
  await waitFor(async () => {
    const { code, stdout } = await rig.tsrun(['state', id]);
    return code === 0 && (JSON.parse(stdout) as State).status === wanted;
  });
}

/** Waits, with a deadline, for what nothing announces. */
export async function waitFor(condition: () => boolean | Promise<boolean>, deadlineMs = 10_000): Promise<void> {
  const end = Date.now() + deadlineMs * slowness;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('it did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Whether a process runs: one that ended and that nobody has reaped yet does not. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

/** Waits until a process has ended. */
export async function waitForEnd(pid: number): Promise<void> {
  await waitFor(() => !isRunning(pid));
}
