import type { RuntimeOptions } from '../container/store/options.ts';
import { TsrunError } from '../errors.ts';
import type { Will } from '../util/wills.ts';
import { wording } from '../util/wording.ts';
import type { Operations } from './operations.ts';

/** What says that an operation has been done before: code of the failure, and what its message contains. */
type Done = readonly [code: TsrunError['code'], text?: string];

const DONE = {
  startContainer: [['status', wording.startRunning]],
  deleteContainer: [['not-found']],
  killContainer: [['not-found'], ['status', wording.notRunning]],
  pauseContainer: [['status', wording.paused]],
  resumeContainer: [['status', wording.notPaused]],
} as const satisfies Partial<Record<keyof Operations, readonly Done[]>>;

/** What a planner has left. */
export interface LeftBehind extends Required<Will> {
  /** The signals that it has had blocked, bit n - 1 for signal n. */
  readonly blocked: bigint;
}

/**
 * The operations of a command that a planner had begun and did not finish, because it has ended, or stands still: what it has left is
 * undone, finished, or waited for, so that the command ends as if there had been no planner.
 */
export function afterPlanner(operations: Operations, { stage, pid, blocked }: LeftBehind): Operations {
  if (stage === 'again') return { ...operations, ...unlessDone(operations) };
  if (stage === 'anew') return operations;
  const running = stage === 'running' ? pid : undefined;
  return {
    ...operations,
    async createContainer(options, create) {
      const { findRemains, isParked, removeRemains, takeSignals, runtime } = await remains(options);
      const found = findRemains(runtime, create.id);
      if (found?.isComplete === true && found.pid !== undefined && (await isParked(found.pid))) return;
      takeSignals(blocked);
      await removeRemains(runtime, create.id);
      await operations.createContainer(options, create);
    },
    async runContainer(options, run) {
      const { completeRemains, findRemains, hasExecuted, removeRemains, superviseContainer, takeSignals, runtime } =
        await remains(options);
      const program = running ?? findRemains(runtime, run.id)?.pid;
      if (program === undefined || !(await hasExecuted(program))) {
        takeSignals(blocked);
        await removeRemains(runtime, run.id);
        return await operations.runContainer(options, run);
      }
      completeRemains(runtime, run.id);
      return run.detach ? 0 : await superviseContainer(runtime, { pid: program, blocked }, run);
    },
    async execInContainer(options, exec) {
      const { hasExecuted, superviseProcess, takeSignals, runtime } = await remains(options);
      // A process that is not the program yet ends with the planner.
      if (running === undefined || !(await hasExecuted(running))) {
        takeSignals(blocked);
        return await operations.execInContainer(options, exec);
      }
      return await superviseProcess(runtime, { pid: running, blocked }, exec);
    },
  };
}

async function remains(options: RuntimeOptions) {
  const [found, { ownForegroundRuntime }] = await Promise.all([
    import('../container/take-over.ts'),
    import('../own-process/own-foreground.ts'),
  ]);
  return { ...found, runtime: ownForegroundRuntime(options) };
}

function unlessDone(operations: Operations): Pick<Operations, keyof typeof DONE> {
  return {
    startContainer: (...args) => accept(DONE.startContainer, operations.startContainer(...args)),
    deleteContainer: (...args) => accept(DONE.deleteContainer, operations.deleteContainer(...args)),
    killContainer: (...args) => accept(DONE.killContainer, operations.killContainer(...args)),
    pauseContainer: (...args) => accept(DONE.pauseContainer, operations.pauseContainer(...args)),
    resumeContainer: (...args) => accept(DONE.resumeContainer, operations.resumeContainer(...args)),
  };
}

async function accept(done: readonly Done[], operation: Promise<void>): Promise<void> {
  try {
    await operation;
  } catch (error) {
    const isDone = ([code, text = '']: Done): boolean =>
      error instanceof TsrunError && error.code === code && error.message.includes(text);
    if (!done.some(isDone)) throw error;
  }
}
