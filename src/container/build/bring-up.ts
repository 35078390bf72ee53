import { TsrunError } from '../../errors.ts';
import type { Phase } from '../../plan/base/phases.ts';
import type { RlimitSetting } from '../../plan/process/rlimits.ts';
import { Conversation } from '../../process/conversation.ts';
import { spawnInit, type SpawnInitOptions } from '../../process/spawned.ts';
import { hasErrno } from '../../sys/errno.ts';
import { reapChild, type ExitStatus } from '../../sys/wait.ts';
import type { Cleanup } from './cleanup.ts';
import { runPhases, type PhaseHandlers, type PhaseResults } from './exchanges.ts';
import { endProcess, reapDying } from './end-process.ts';
import { applyRlimits } from './rlimits.ts';
import { words } from '../../util/words.ts';

export interface BringUpOptions extends SpawnInitOptions, Omit<PhaseHandlers, 'spawnedPid'> {
  readonly phases: readonly Phase[];
  readonly rlimits: readonly RlimitSetting[];
  readonly cleanup: Cleanup;
  /** Whether the kernel has killed a process of the container's cgroup for want of memory since the start. */
  readonly wasOomKilled?: () => boolean;
  /** Called when init has its descriptors. */
  readonly onSpawned: () => void;
}

export interface BroughtUp {
  readonly conversation: Conversation;
  readonly results: PhaseResults;
}

/**
 * Starts an init and has it execute the phases of a plan, up to where it is ready to become the program.
 *
 * The cleanup ends its processes. Errors: `step`, `program`, `host`; `init` with the way it ended when it died.
 */
export async function bringUp(options: BringUpOptions): Promise<BroughtUp> {
  const { arch, syncFd, phases, rlimits, cleanup } = options;
  const spawned = spawnInit(options);
  const conversation = new Conversation(spawned.socket, { arch, syncFd });
  const processes = new Set([spawned.pid]);
  cleanup.add('end the init process', async () => {
    conversation.close();
    for (const pid of processes) await endProcess(pid);
  });
  options.onSpawned();
  try {
    const results = await runPhases(conversation, phases, {
      ...options,
      spawnedPid: spawned.pid,
      onPid: async (pid) => {
        processes.add(pid);
        applyRlimits(pid, rlimits);
        await options.onPid(pid);
      },
    });
    processes.delete(spawned.pid);
    return { conversation, results };
  } catch (error) {
    throw await explainDeath(error, {
      pid: [...processes].at(-1) ?? spawned.pid,
      wasOomKilled: options.wasOomKilled ?? (() => false),
      forget: () => {
        processes.clear();
      },
    });
  }
}

/**
 * An init that is gone tells nothing; the way it ended does. Where a limit that was being set has ended it, systemd may have taken its
 * cgroup away: that failure is the consequence.
 */
async function explainDeath(
  error: unknown,
  { pid, wasOomKilled, forget }: { pid: number; wasOomKilled: () => boolean; forget: () => void },
): Promise<unknown> {
  if (!(error instanceof TsrunError)) return error;
  const isGone = error.code === 'init' && hasErrno(error, 'EPIPE');
  if (!isGone && error.code !== 'cgroup') return error;
  const status = isGone ? await reapDying(pid) : reapIfEnded(pid);
  if (status === undefined) return error;
  forget();
  // In runc's words.
  if (wasOomKilled()) {
    return new TsrunError('init', words.oomKilled, { cause: error });
  }
  if (!isGone) return error;
  const end = status.kind === 'exited' ? `exit code ${status.code}` : `killed by signal ${status.signal}`;
  const hint = status.kind === 'killed' ? (HINTS[status.signal] ?? '') : '';
  return new TsrunError('init', `${error.message}: ${end}${hint}`, { cause: error });
}

const REFUSED = ' (the seccomp profile refuses a call that init makes when its filter is loaded)';
/** What a signal is a sign of. Init executes an instruction that is none (SIGILL, 4) where it is refused even exit_group(2). */
const HINTS: Readonly<Record<number, string>> = { 4: REFUSED, 9: ` ${words.killedInSetup}`, 31: REFUSED };

function reapIfEnded(pid: number): ExitStatus | undefined {
  try {
    return reapChild(pid);
  } catch (error) {
    if (hasErrno(error, 'ECHILD')) return undefined;
    throw error;
  }
}
