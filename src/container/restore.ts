import { takePart } from '../process/turns.ts';
import { uninterrupted } from '../sys/events/interruption.ts';
import { pidfdOpen } from '../sys/process/pidfd.ts';
import { exitCode, type ExitStatus } from '../sys/process/wait.ts';
import { waitForEnd } from './build/end-process.ts';
import { settleEnded } from './build/remove-container.ts';
import { CallerLost, type Runtime } from './caller/caller.ts';
import type { Foreground } from './caller/foreground.ts';
import { Orphans } from './caller/orphans.ts';
import { sendPidfd } from './caller/pidfd-socket.ts';
import { waitInForeground } from './caller/relaying-foreground.ts';
import { buildRestored, type RestoredContainer } from './criu/restore-container.ts';
import type { RestoreOptions } from './store/options.ts';

/**
 * Restores a container that `checkpoint` has saved, by CRIU, and waits for the end of its program: as `run` does from there on.
 *
 * Returns its exit code, 128 + n after a signal; 0 at once with `detach`. Errors: those of create; `host` without CRIU, `unsupported` for
 * one that is too old; `criu`. Nothing is left of a container that is not restored.
 */
export async function restoreContainer(runtime: Runtime, options: RestoreOptions): Promise<number> {
  using foreground = waitInForeground(runtime.caller, options);
  const restored = await build(runtime, options, foreground);
  const { attempt, partner } = restored;
  try {
    const status = await supervise(runtime, options, { ...restored, foreground });
    if (status === undefined) return 0;
    await settleEnded(runtime, attempt, { status, keep: options.keep });
    return exitCode(status);
  } catch (error) {
    if (!(error instanceof CallerLost)) {
      await uninterrupted(() => partner.end());
      await attempt.undo();
    }
    throw error;
  } finally {
    attempt.directory.close();
  }
}

/** What CRIU has begun it ends, well or not. */
async function build(runtime: Runtime, options: RestoreOptions, foreground: Foreground): Promise<RestoredContainer> {
  using _part = takePart();
  return await uninterrupted(() => buildRestored(runtime, options, foreground));
}

/** Unless detached, the answer is how the program ended. */
async function supervise(
  runtime: Runtime,
  options: RestoreOptions,
  { attempt, partner, foreground }: RestoredContainer & { readonly foreground: Foreground },
): Promise<ExitStatus | undefined> {
  const { pid } = partner;
  using pidfd = pidfdOpen(pid);
  using orphans = options.subreaper === true && !options.detach ? new Orphans(pid) : undefined;
  await sendPidfd(options.pidfdSocket, { pid, kind: 'standard' });
  attempt.announce(pid, options.pidFile, runtime.caller);
  attempt.remember({ isComplete: true });
  attempt.finish();
  if (options.detach) {
    options.onProcess?.(pid);
    return undefined;
  }
  await foreground.catchSignals(pidfd, () => Promise.resolve());
  orphans?.reap();
  return await foreground.supervise(pidfd, () => waitForEnd(partner));
}
