import { resolve } from 'node:path';
import { operations as own, type Operations } from '../cli/operations.ts';
import { createContainer } from '../container/create.ts';
import { deleteContainer } from '../container/delete.ts';
import { execInContainer } from '../container/exec.ts';
import { runContainer } from '../container/run.ts';
import { startContainer } from '../container/start.ts';
import type { CreateOptions, ExecOptions } from '../container/store/options.ts';
import { updateContainer } from '../container/update.ts';
import { CONFIG_LIMIT_BYTES, type Paths } from './paths.ts';
import { GoCold } from './reasons.ts';
import type { Session } from './session.ts';
import { hasStdio, isTerminalOf, requireDescriptors } from './descriptors.ts';

type ProcessParts = Pick<ExecOptions, 'preserved' | 'pidFile' | 'consoleSocket' | 'pidfdSocket'>;

function refuse(): never {
  throw new GoCold('command');
}

/** What is never done here. */
const refused = {
  checkpointContainer: refuse,
  restoreContainer: refuse,
  containerStats: refuse,
  containerEvents: refuse,
  showProcesses: refuse,
  explainContainer: refuse,
  listChanges: refuse,
  readSeccompBuild: refuse,
  servePlanner: refuse,
  askPlanner: refuse,
};

/** The operations for a caller that is a launcher. What is to be done when this process ends is known before anything is. */
export function launcherOperations(
  session: Session,
  { proc, paths }: { readonly proc: string; readonly paths: Paths },
): Operations {
  const { launcher } = session;
  const requireBundle = ({
    bundle,
    configFile = 'config.json',
    notifySocket,
    network,
    ...options
  }: CreateOptions): void => {
    if (network !== undefined) throw new GoCold('network');
    if (notifySocket !== undefined) throw new GoCold('service-manager');
    paths.require(bundle);
    paths.require(resolve(bundle, configFile), { limitBytes: CONFIG_LIMIT_BYTES });
    if (options.overlay !== undefined) paths.requireLayers(options.overlay);
    requireProcess(options);
  };
  const requireProcess = ({ preserved, pidFile, consoleSocket, pidfdSocket }: ProcessParts): void => {
    if (!hasStdio(proc)) throw new GoCold('descriptors');
    requireDescriptors(proc, preserved.length);
    for (const path of [pidFile, consoleSocket, pidfdSocket]) if (path !== undefined) paths.requireFast(path);
  };
  const requireNoTerminal = (): void => {
    if ([0, 1, 2].some((number) => isTerminalOf(proc, number))) throw new GoCold('terminal');
  };
  const again = <Args extends unknown[], T>(operation: (...args: Args) => Promise<T>) => {
    return async (...args: Args): Promise<T> => {
      launcher.leaveWill({ stage: 'again' });
      return await operation(...args);
    };
  };
  return {
    ...own,
    ...refused,
    async createContainer(runtime, options) {
      requireBundle(options);
      launcher.leaveWill({ stage: 'abandoned' });
      await createContainer(session.runtime(runtime), options);
    },
    async runContainer(runtime, { subreaper = false, ...options }) {
      requireBundle(options);
      if (!options.detach) requireNoTerminal();
      launcher.leaveWill({ stage: 'abandoned' });
      return await runContainer(session.runtime(runtime, { subreaper }), options);
    },
    async execInContainer(runtime, options) {
      requireProcess(options);
      // The container's files may be on a file system that answers when it likes.
      if (isNamed(options.change)) throw new GoCold('filesystem');
      if (!options.detach) requireNoTerminal();
      launcher.leaveWill({ stage: 'abandoned' });
      return await execInContainer(session.runtime(runtime), options);
    },
    startContainer: again(async (runtime, id, { notifySocket } = {}) => {
      if (notifySocket !== undefined) throw new GoCold('service-manager');
      await startContainer(session.runtime(runtime), id);
    }),
    deleteContainer: again(async (runtime, options) => {
      await deleteContainer(session.runtime(runtime), options);
    }),
    updateContainer: again(async (runtime, options) => {
      await updateContainer(session.runtime(runtime), options);
    }),
    killContainer: again(own.killContainer),
    pauseContainer: again(own.pauseContainer),
    resumeContainer: again(own.resumeContainer),
  };
}

/** Whether a user or a group has to be looked up in the container. */
function isNamed(change: ExecOptions['change']): boolean {
  if (change.kind === 'document') return false;
  return typeof change.user?.uid === 'string' || typeof change.user?.gid === 'string';
}
