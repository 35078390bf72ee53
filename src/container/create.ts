import { rmSync } from 'node:fs';
import { TOKEN_SIZE } from '../plan/run-program.ts';
import { randomBytes } from '../sys/random.ts';
import { buildContainer, type BuiltContainer } from './build/build-container.ts';
import { requireConsole, sendConsole } from './caller/console.ts';
import { writePidFile } from './caller/pid-file.ts';
import { sendPidfd } from './caller/pidfd-socket.ts';
import type { Runtime } from './caller/caller.ts';
import type { CreateOptions } from './store/options.ts';

/**
 * Creates a container: everything of runtime.md, "Create", and nothing of the program itself.
 *
 * When it returns, init waits for `start` and is a child of the caller's process or its subreaper; no process of tsrun stays.
 * Errors: `id`, `exists`, `bundle`, `config`, `unsupported`, `step`, `program`, `cgroup`, `hook`, `state`, `host`. Needs root,
 * or a config with a user namespace.
 */
export async function createContainer(runtime: Runtime, options: CreateOptions): Promise<void> {
  const { consoleSocket } = options;
  const built = await buildContainer(runtime, {
    ...options,
    listens: true,
    checkProcess: (process) => {
      requireConsole({ terminal: process?.terminal === true, detached: true, consoleSocket });
    },
    onConsole: (master) => {
      if (consoleSocket !== undefined) sendConsole(master, consoleSocket);
    },
  });
  try {
    sendPidfd(options.pidfdSocket, { pid: built.results.pid, kind: 'standard' });
    park(runtime, built, options.pidFile);
  } catch (error) {
    await built.cleanup.run();
    throw error;
  } finally {
    built.directory.close();
  }
}

/**
 * Leaves init to itself. The point of no return is the last message: before it the death of tsrun is the death of init, after it
 * the container is created.
 */
export function park(runtime: Runtime, built: BuiltContainer, pidFile: string | undefined): void {
  const { conversation, directory, record, plan, lock } = built;
  announce(runtime, built, pidFile);
  const tokens = { start: randomBytes(TOKEN_SIZE), handles: randomBytes(TOKEN_SIZE) };
  directory.writeRecord({
    ...record,
    ...(plan.needsToken ? { startToken: tokens.start.toString('hex') } : {}),
    ...(plan.handsOut ? { handlesToken: tokens.handles.toString('hex') } : {}),
    isComplete: true,
  });
  conversation.dispatch(plan.park(tokens));
  conversation.close();
  lock.close();
}

/** Writes the pid file; a failure after it takes it away again. */
export function announce({ caller }: Runtime, { results, cleanup }: BuiltContainer, pidFile: string | undefined): void {
  if (pidFile === undefined) return;
  writePidFile(pidFile, results.pid, caller);
  cleanup.add('remove the pid file', () => {
    rmSync(pidFile, { force: true });
  });
}
