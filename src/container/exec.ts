import { serviceEnvironment } from '../plan/service-manager.ts';
import { pidfdOpen } from '../sys/process/pidfd.ts';
import { exitCode } from '../sys/process/wait.ts';
import { becomeProgram, stateOf } from './build/become-program.ts';
import { Cleanup } from './build/cleanup.ts';
import { waitForEnd } from './build/end-process.ts';
import { enterContainer } from './build/enter-container.ts';
import { tellOutOfMemory } from './failures/out-of-memory.ts';
import { prepareExec, type PreparedExec } from './build/prepare-exec.ts';
import { CallerLost, type Runtime } from './caller/caller.ts';
import { writePidFile } from './caller/pid-file.ts';
import { sendPidfd } from './caller/pidfd-socket.ts';
import type { ExecOptions } from './store/options.ts';
import { innermostPid } from './store/process-identity.ts';

/**
 * Runs a further process in a container.
 *
 * Returns its exit code, 128 + n after a signal; 0 at once with `detach`. Errors: `not-found`, `status`, `config` for the process,
 * `program`, `step`, `cgroup`, `host`.
 */
export async function execInContainer(runtime: Runtime, options: ExecOptions): Promise<number> {
  using prepared = await prepareExec(runtime, options);
  return await execPrepared(runtime, prepared, options);
}

/** Carries out what was decided. Errors: those of `execInContainer`. */
export async function execPrepared(runtime: Runtime, prepared: PreparedExec, options: ExecOptions): Promise<number> {
  const { record, process, plan, seccomp, foreground } = prepared;
  const cleanup = new Cleanup(runtime.log);
  try {
    const { partner, conversation, executable, home, oomKills } = await enterContainer(
      runtime,
      prepared,
      options,
      cleanup,
    );
    const { pid } = partner;
    using pidfd = pidfdOpen(pid);
    await sendPidfd(options.pidfdSocket, { pid, kind: 'setns' });
    if (options.pidFile !== undefined) writePidFile(options.pidFile, pid, runtime.caller);
    const { listenFds = 0 } = options;
    const environment = serviceEnvironment({ listenFds, pid: innermostPid(pid), notifies: false });
    const program = { process, executable, home, environment };
    const { descriptors } = plan;
    const state = stateOf(record, 'running');
    const become = (): Promise<void> => becomeProgram(conversation, { descriptors, program, seccomp, pid, state });
    await (foreground === undefined ? become() : foreground.catchSignals(pidfd, become));
    conversation.close();
    runtime.tracer?.finish();
    if (foreground === undefined) {
      options.onProcess?.(pid, { cgroup: record.cgroup, oomKills });
      return 0;
    }
    const status = await foreground.supervise(pidfd, () => waitForEnd(partner));
    const { directory } = prepared;
    tellOutOfMemory(runtime, { status, directory, cgroup: record.cgroup, oomKills });
    return exitCode(status);
  } catch (error) {
    if (!(error instanceof CallerLost)) await cleanup.run();
    throw error;
  }
}
