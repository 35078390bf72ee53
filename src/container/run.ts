import { exitCode, reapChild, type ExitStatus } from '../sys/wait.ts';
import { TsrunError } from '../errors.ts';
import { waitReadable } from '../sys/events/poll.ts';
import { pidfdOpen } from '../sys/pidfd.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { buildContainer, type BuiltContainer } from './build/build-container.ts';
import { requireConsole, sendConsole } from './caller/console.ts';
import { announce } from './create.ts';
import { deleteContainer } from './delete.ts';
import { endProcess } from './build/end-process.ts';
import { Foreground } from './caller/foreground.ts';
import { bindNotifySocket, relayReadiness } from './caller/notify-socket.ts';
import { Orphans } from './caller/orphans.ts';
import { sendPidfd } from './caller/pidfd-socket.ts';
import type { Runtime } from './caller/caller.ts';
import type { RunOptions } from './store/options.ts';
import { becomeProgram, stateOf } from './build/become-program.ts';
import { runPoststart, runStartContainer } from './hooks/start.ts';
import type { Process } from '../spec/generated/config.ts';
import { words } from '../util/words.ts';

/**
 * Creates and starts a container and waits for its program, in one go.
 *
 * Returns its exit code, 128 + n after a signal; 0 at once with `detach`. Errors: those of create and start.
 * Effects: in the foreground the program's terminal becomes this process's, and with `forwardSignals` its signals the program's.
 */
export async function runContainer(runtime: Runtime, options: RunOptions): Promise<number> {
  const { consoleSocket, detach } = options;
  using foreground = new Foreground(runtime.caller, options);
  let program: Pick<Process, 'consoleSize'> = {};
  const built = await buildContainer(runtime, {
    ...options,
    listens: false,
    checkProcess: (process) => {
      if (process === undefined) throw new TsrunError('config', `${words.noProcess}: there is nothing to run`);
      const terminal = process.terminal === true;
      program = process;
      requireConsole({ terminal, detached: detach, consoleSocket });
      if (terminal && !detach) foreground.requireTerminal();
    },
    onConsole: (master) => {
      if (consoleSocket === undefined) foreground.takeConsole(master, program);
      else sendConsole(master, consoleSocket);
    },
    ...(detach
      ? {}
      : {
          lendStdio: (process) => foreground.lend(process),
          onSpawned: () => {
            foreground.closeLent();
          },
        }),
  });
  return await runBuilt(runtime, options, { built, foreground });
}

interface Running {
  readonly built: BuiltContainer;
  readonly foreground: Foreground;
}

async function runBuilt(runtime: Runtime, options: RunOptions, running: Running): Promise<number> {
  const { built } = running;
  try {
    const status = await superviseProgram(runtime, options, running);
    if (status === undefined) return 0;
    if (!options.keep) await deleteContainer(runtime, { id: options.id, force: true });
    return exitCode(status);
  } catch (error) {
    await built.cleanup.run();
    throw error;
  } finally {
    built.conversation.close();
    built.directory.close();
  }
}

/** Starts the program; unless detached, the answer is how it ended. */
async function superviseProgram(
  runtime: Runtime,
  options: RunOptions,
  { built, foreground }: Running,
): Promise<ExitStatus | undefined> {
  const { detach, notifySocket: host } = options;
  const { pid } = built.results;
  using pidfd = pidfdOpen(pid);
  using orphans = options.subreaper === true && !detach ? new Orphans(pid) : undefined;
  sendPidfd(options.pidfdSocket, { pid, kind: 'standard' });
  using socket = host === undefined ? undefined : bindNotifySocket(built.directory);
  const around = (become: () => Promise<void>): Promise<void> =>
    detach ? become() : foreground.catchSignals(pidfd, become);
  await execute(runtime, built, { pidFile: options.pidFile, around });
  // In the foreground tsrun itself is the service: it ends with the program.
  const relay = { host: host ?? '', mainPid: detach ? pid : runtime.caller.identity.pid, pidfd };
  const notified = socket === undefined ? undefined : relayReadiness({ socket, ...relay }, runtime.log);
  try {
    if (!detach) orphans?.reap();
    const status = detach ? undefined : await foreground.supervise(pidfd, () => waitForChild(pid, pidfd));
    await notified;
    return status;
  } catch (error) {
    // Its end is also that of the relay, which must not outlive the descriptors it waits on.
    await endProcess(pid);
    await notified;
    throw error;
  }
}

interface ExecuteOptions {
  readonly pidFile: string | undefined;
  /** What is to be done around the moment when init becomes the program. */
  readonly around: (become: () => Promise<void>) => Promise<void>;
}

async function execute(runtime: Runtime, built: BuiltContainer, { pidFile, around }: ExecuteOptions): Promise<void> {
  const { conversation, directory, record, bundle, seccomp, descriptors, results, lock } = built;
  announce(runtime, built, pidFile);
  const process = bundle.config.process ?? { cwd: '/' };
  await runStartContainer(runtime, conversation, { record, config: bundle.config, seccomp });
  const { executable, home, pid } = results;
  const program = { process, executable, home, environment: record.environment ?? [] };
  const state = stateOf(record, 'created');
  await around(() => becomeProgram(conversation, { descriptors, program, seccomp, pid, state }));
  directory.writeRecord({ ...record, isComplete: true });
  lock.close();
  await runPoststart(runtime, record, bundle.config);
}

/** Waits for the end of a child and reaps it. */
export async function waitForChild(pid: number, pidfd: OwnedFd | undefined): Promise<ExitStatus> {
  for (;;) {
    const status = reapChild(pid);
    if (status !== undefined) return status;
    if (pidfd !== undefined) await waitReadable(pidfd.number);
  }
}
