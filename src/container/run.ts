import { exitCode, reapChild, type ExitStatus } from '../sys/wait.ts';
import { TsrunError } from '../errors.ts';
import { waitReadable } from '../sys/io.ts';
import { pidfdOpen } from '../sys/pidfd.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { buildContainer, type BuiltContainer } from './build-container.ts';
import { requireConsole, sendConsole } from './console.ts';
import { announce } from './create.ts';
import { deleteContainer } from './delete.ts';
import { Foreground } from './foreground.ts';
import type { RunOptions, Runtime } from './runtime.ts';
import { becomeProgram, stateOf } from './seccomp.ts';
import { runPoststart } from './start.ts';

/**
 * Creates and starts a container and waits for its program, in one go.
 *
 * Returns its exit code, 128 + n after a signal; 0 at once with `detach`. Errors: those of create and start.
 * Effects: in the foreground the signals of this process go to the program, and its terminal becomes this one's.
 */
export async function runContainer(runtime: Runtime, options: RunOptions): Promise<number> {
  const { consoleSocket, detach } = options;
  using foreground = new Foreground(options.stdio);
  const built = await buildContainer(runtime, {
    ...options,
    listens: false,
    checkProcess: (process) => {
      if (process === undefined)
        throw new TsrunError('config', 'process property must not be empty: there is nothing to run');
      const terminal = process.terminal === true;
      requireConsole({ terminal, detached: detach, consoleSocket });
      if (terminal && !detach) foreground.requireTerminal();
    },
    onConsole: (master) => {
      if (consoleSocket === undefined) foreground.takeConsole(master);
      else sendConsole(master, consoleSocket);
    },
  });
  let pidfd: OwnedFd | undefined;
  try {
    pidfd = pidfdOpen(built.results.pid);
    await execute(runtime, built, options.pidFile);
    if (detach) return 0;
    const status = await foreground.supervise(pidfd, () => waitForChild(built.results.pid, pidfd));
    if (!options.keep) await deleteContainer(runtime, { id: options.id, force: true });
    return exitCode(status);
  } catch (error) {
    await built.cleanup.run();
    throw error;
  } finally {
    pidfd?.close();
    built.conversation.close();
  }
}

async function execute(runtime: Runtime, built: BuiltContainer, pidFile: string | undefined): Promise<void> {
  const { conversation, directory, record, bundle, seccomp, descriptors, results, lock } = built;
  announce(built, pidFile);
  const process = bundle.config.process ?? { cwd: '/' };
  await becomeProgram(conversation, {
    descriptors,
    program: { process, executable: results.executable, home: results.home },
    seccomp,
    pid: results.pid,
    state: stateOf(record, 'created'),
  });
  directory.writeRecord({ ...record, isComplete: true });
  lock.close();
  await runPoststart(runtime, directory, record, bundle.config);
}

/** Waits for the end of a child and reaps it. */
export async function waitForChild(pid: number, pidfd: OwnedFd | undefined): Promise<ExitStatus> {
  for (;;) {
    const status = reapChild(pid);
    if (status !== undefined) return status;
    if (pidfd !== undefined) await waitReadable(pidfd.number);
  }
}
