import { SignalForwarder } from '../container/caller/signal-forwarder.ts';
import type { Runtime } from '../container/caller/caller.ts';
import type { OomCount, Stdio } from '../container/store/options.ts';
import { nextTurn, takePart } from '../process/turns.ts';
import { catchSignals } from '../sys/events/signals.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { withPatience } from './interruption.ts';
import type { ProgramOptions } from './options.ts';
import { OomCounter, type ProcessEnd } from './process-end.ts';
import { Connections, Process } from './process.ts';
import { WatchedProcess } from './watched-process.ts';

/** What an operation that starts a program is given for it. */
export interface ProgramToStart {
  readonly stdio: Stdio;
  readonly preserved: readonly number[];
  readonly listenFds: number;
  readonly consoleSocket?: string;
  readonly takeConsole?: (master: OwnedFd) => void;
  readonly pidFile?: string;
  readonly pidfdSocket?: string;
  readonly onProcess: (pid: number, before?: OomCount) => void;
}

/** A program that an operation is to start, and who follows it to its end. */
export interface ProgramStart {
  readonly runtime: Runtime;
  readonly id: string;
  readonly options: ProgramOptions & { readonly forwardSignals?: boolean };
  /** The container is made in the same operation. */
  readonly isNew: boolean;
  /** Called as soon as the process is watched. */
  readonly onWatched?: (watched: WatchedProcess) => void;
  /** What else is to be done at its end. */
  readonly atEnd?: (end: ProcessEnd) => Promise<void>;
}

/** Has an operation start a program, and watches that to its end. What was opened for one that does not start is closed. */
export async function startProgram(
  { runtime, id, options, isNew, onWatched, atEnd }: ProgramStart,
  start: (program: ProgramToStart) => Promise<void>,
): Promise<Process> {
  const { pidFile, pidfdSocket, forwardSignals = false } = options;
  using _part = takePart();
  await nextTurn();
  const connections = await Connections.open(options);
  const signals = new SignalForwarder({ signals: forwardSignals ? catchSignals : undefined });
  try {
    let watched: WatchedProcess | undefined;
    const program = {
      stdio: connections.descriptors,
      preserved: options.descriptors ?? [],
      listenFds: options.listenFds ?? 0,
      ...connections.receiver,
      ...(pidFile !== undefined && { pidFile }),
      ...(pidfdSocket !== undefined && { pidfdSocket }),
      onProcess: (pid: number, before?: OomCount) => {
        const counter = before ? new OomCounter(before) : OomCounter.of(runtime.root, id, { isNew });
        watched = WatchedProcess.ofChild(pid, counter);
        onWatched?.(watched);
      },
    };
    await withPatience(options, () => start(program));
    if (watched === undefined) throw new Error('bug: a program was started and has no process');
    await connections.complete();
    forward(signals, watched);
    void connections.followTo(watched.ended);
    const after = atEnd === undefined ? undefined : watched.ended.then(atEnd);
    // Whoever waits is told; nobody has to.
    after?.catch((error: unknown) => {
      runtime.log.warning(`container ${JSON.stringify(id)}: ${error instanceof Error ? error.message : String(error)}`);
    });
    return new Process(watched, connections, after);
  } catch (error) {
    signals[Symbol.dispose]();
    connections[Symbol.dispose]();
    throw error;
  }
}

function forward(signals: SignalForwarder, watched: WatchedProcess): void {
  using pidfd = watched.openPidfd();
  if (pidfd !== undefined) signals.forwardTo(pidfd);
  signals.catchPipes();
  void watched.ended.finally(() => {
    signals[Symbol.dispose]();
  });
}
