import { TOKEN_SIZE } from '../plan/run-program.ts';
import { nextTurn, takePart } from '../process/turns.ts';
import { randomBytes } from '../sys/random.ts';
import { buildContainer, type BuiltContainer } from './build/build-container.ts';
import { openBundle, prepareContainer } from './build/prepare-container.ts';
import type { Runtime } from './caller/caller.ts';
import { requireConsole } from './caller/console.ts';
import { sendPidfd } from './caller/pidfd-socket.ts';
import type { CreateOptions } from './store/options.ts';

/**
 * Creates a container: everything of runtime.md, "Create", and nothing of the program itself.
 *
 * When it returns, init waits for `start` and is a child of the caller's process or its subreaper; no process of tsrun stays.
 * Errors: `id`, `exists`, `bundle`, `config`, `unsupported`, `step`, `program`, `cgroup`, `hook`, `state`, `host`. Needs root,
 * or a config with a user namespace.
 */
export async function createContainer(runtime: Runtime, options: CreateOptions): Promise<void> {
  using _part = takePart();
  await nextTurn();
  const opened = await openBundle(runtime, options);
  const terminal = opened.bundle.config.process?.terminal === true;
  const { consoleSocket, takeConsole } = options;
  requireConsole({ terminal, detached: true, consoleSocket, isTaken: takeConsole !== undefined });
  const prepared = await prepareContainer(runtime, opened, { ...options, listens: true });
  const built = await buildContainer(runtime, prepared);
  const { attempt, partner } = built;
  try {
    await sendPidfd(options.pidfdSocket, { pid: partner.pid, kind: 'standard' });
    attempt.announce(partner.pid, options.pidFile, runtime.caller);
    park(built);
    options.onProcess?.(partner.pid);
  } catch (error) {
    await attempt.undo();
    throw error;
  } finally {
    attempt.directory.close();
  }
}

/**
 * Leaves init to itself. The point of no return is the last message: before it the death of tsrun is the death of init, after it
 * the container is created.
 */
export function park({ prepared, attempt, conversation }: BuiltContainer): void {
  const { plan } = prepared;
  const tokens = { start: randomBytes(TOKEN_SIZE), handles: randomBytes(TOKEN_SIZE) };
  attempt.remember({
    ...(plan.needsToken ? { startToken: tokens.start.toString('hex') } : {}),
    ...(plan.handsOut ? { handlesToken: tokens.handles.toString('hex') } : {}),
    isComplete: true,
  });
  conversation.dispatch(plan.park(tokens));
  conversation.close();
  attempt.finish();
}
