import { TsrunError } from '../errors.ts';
import { nextTurn, takePart } from '../process/turns.ts';
import { uninterrupted } from '../sys/events/interruption.ts';
import { pidfdOpen } from '../sys/process/pidfd.ts';
import { exitCode, type ExitStatus } from '../sys/process/wait.ts';
import { wording } from '../util/wording.ts';
import { becomeProgram, stateOf } from './build/become-program.ts';
import { buildContainer, type BuiltContainer } from './build/build-container.ts';
import { waitForEnd } from './build/end-process.ts';
import { tellOutOfMemory } from './failures/out-of-memory.ts';
import { openBundle, prepareContainer } from './build/prepare-container.ts';
import { settleEnded } from './build/remove-container.ts';
import { CallerLost, type Runtime } from './caller/caller.ts';
import { requireConsole } from './caller/console.ts';
import type { Foreground } from './caller/foreground.ts';
import { waitInForeground } from './caller/relaying-foreground.ts';
import { bindNotifySocket, relayReadiness } from './caller/notify-socket.ts';
import { Orphans } from './caller/orphans.ts';
import { sendPidfd } from './caller/pidfd-socket.ts';
import { runPoststart, runStartContainer } from './hooks/start.ts';
import type { RunOptions } from './store/options.ts';

/**
 * Creates and starts a container and waits for its program, in one go.
 *
 * Returns its exit code, 128 + n after a signal; 0 at once with `detach`. Errors: those of create and start.
 * Effects: in the foreground the program's terminal becomes this process's, and with `forwardSignals` its signals the program's.
 */
export async function runContainer(runtime: Runtime, options: RunOptions): Promise<number> {
  using foreground = waitInForeground(runtime.caller, options);
  const built = await build(runtime, options, foreground);
  const { attempt, conversation } = built;
  try {
    const status = await superviseProgram(runtime, options, { built, foreground });
    if (status === undefined) return 0;
    const { cgroup } = attempt.record;
    tellOutOfMemory(runtime, { status, directory: attempt.directory, cgroup, oomKills: built.oomKills });
    await settleEnded(runtime, attempt, { status, keep: options.keep });
    return exitCode(status);
  } catch (error) {
    if (!(error instanceof CallerLost)) await attempt.undo();
    throw error;
  } finally {
    conversation.close();
    attempt.directory.close();
  }
}

async function build(runtime: Runtime, options: RunOptions, foreground: Foreground): Promise<BuiltContainer> {
  using _part = takePart();
  await nextTurn();
  const { consoleSocket, takeConsole, detach } = options;
  const opened = await openBundle(runtime, options);
  const { process } = opened.bundle.config;
  if (process === undefined) throw new TsrunError('config', `${wording.noProcess}: there is nothing to run`);
  const terminal = process.terminal === true;
  requireConsole({ terminal, detached: detach, consoleSocket, isTaken: takeConsole !== undefined });
  if (terminal && !detach) foreground.requireTerminal();
  const ours = { listens: false, ...(detach ? {} : { foreground }) };
  const prepared = await prepareContainer(runtime, opened, { ...options, ...ours });
  return await buildContainer(runtime, prepared);
}

interface Running {
  readonly built: BuiltContainer;
  readonly foreground: Foreground;
}

/** Starts the program; unless detached, the answer is how it ended. */
async function superviseProgram(
  runtime: Runtime,
  options: RunOptions,
  { built, foreground }: Running,
): Promise<ExitStatus | undefined> {
  const { detach, notifySocket: host } = options;
  const { attempt, partner } = built;
  const { pid } = partner;
  using pidfd = pidfdOpen(pid);
  using orphans = options.subreaper === true && !detach ? new Orphans(pid) : undefined;
  await sendPidfd(options.pidfdSocket, { pid, kind: 'standard' });
  using socket = host === undefined ? undefined : bindNotifySocket(attempt.directory);
  attempt.announce(pid, options.pidFile, runtime.caller);
  await startProgram(runtime, built, (become) => (detach ? become() : foreground.catchSignals(pidfd, become)));
  // In the foreground tsrun itself is the service: it ends with the program.
  const relay = { host: host ?? '', mainPid: detach ? pid : runtime.caller.identity.pid, pidfd };
  const notified = socket === undefined ? undefined : relayReadiness({ socket, ...relay }, runtime.log);
  runtime.tracer?.finish();
  try {
    if (!detach) orphans?.reap();
    const status = detach ? undefined : await foreground.supervise(pidfd, () => waitForEnd(partner));
    await notified;
    if (detach) options.onProcess?.(pid);
    return status;
  } catch (error) {
    // Its end is also that of the relay, which must not outlive the descriptors it waits on.
    if (!(error instanceof CallerLost)) await uninterrupted(() => partner.end());
    await notified;
    throw error;
  }
}

/** `around` does what is to be done around the moment when init becomes the program. */
async function startProgram(
  runtime: Runtime,
  { prepared, attempt, partner, conversation, descriptors }: BuiltContainer,
  around: (become: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const { bundle, seccomp } = prepared;
  const { record } = attempt;
  const { process = { cwd: '/' } } = bundle.config;
  await runStartContainer(runtime, conversation, { record, config: bundle.config, seccomp });
  const { executable = '', home = '/', environment = [] } = record;
  const program = { process, executable, home, environment };
  const state = stateOf(record, 'created');
  runtime.tracer?.phase('get ready to run the program');
  await around(() => becomeProgram(conversation, { descriptors, program, seccomp, pid: partner.pid, state }));
  attempt.remember({ isComplete: true });
  attempt.finish();
  await runPoststart(runtime, record, bundle.config);
}
