import { createContainer } from '../container/create.ts';
import { deleteContainer } from '../container/delete.ts';
import { KnownEntries } from '../container/known/entries.ts';
import { KnownPlans } from '../container/known/plans.ts';
import { explainContainer } from '../container/explain.ts';
import { listContainers } from '../container/list.ts';
import { runContainer } from '../container/run.ts';
import { readStatus } from '../container/state.ts';
import type { CallersHost, Runtime as Operations } from '../container/caller/caller.ts';
import type { ContainerStatus } from '../container/store/options.ts';
import { doesNotExist } from '../container/store/ids.ts';
import { openProcess, identifyProcess } from '../container/store/process-identity.ts';
import { ownRuntime } from '../own-process/own-process.ts';
import { KnownConfigs } from '../spec/known-configs.ts';
import { checkGiven, checkOptions, CHECKS, oneOf, type Checks } from './check.ts';
import { Container } from './container.ts';
import { type LogOption, toLog } from './log.ts';
import {
  configSource,
  imageOptions,
  type ConfigOptions,
  type CreateContainerOptions,
  OPTION_CHECKS,
  type RestoreContainerOptions,
  type RunContainerOptions,
} from './options.ts';
import type { Process } from './process.ts';
import { endKeeper, OomCounter, type ProcessEnd } from './process-end.ts';
import { startProgram } from './start-program.ts';
import { WatchedProcess } from './watched-process.ts';

/** Where the library keeps its containers, and what it may use of the process that it is in. */
export interface RuntimeOptions {
  /** Absolute path of the directory with the state of the containers; it is made when it is needed. */
  readonly root: string;
  /** Who makes cgroups. Default: `cgroupfs`. */
  readonly cgroupManager?: 'cgroupfs' | 'systemd' | 'disabled';
  /** Whether a container does without a cgroup where none may be made and it asks for none. Default: unless this process is root. */
  readonly rootless?: boolean;
  /** Limit of open files of hooks, and of programs whose config sets none. Default: that of this process. */
  readonly openFiles?: { readonly soft: number | bigint; readonly hard: number | bigint };
  /** Absolute path of a directory of this user's where compiled seccomp filters are kept. Default: nowhere. */
  readonly cacheDirectory?: string;
  /** Absolute path of a directory on a disk where layers over a rootfs lie that go with their containers. Default: /var/lib/tsrun/overlay. */
  readonly layersDirectory?: string;
  /** For hooks that have no environment of their own. Default: none. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Gets what is no result, such as warnings; `console` will do. Default: nobody. */
  readonly log?: LogOption;
}

const RUNTIME_CHECKS: Checks<RuntimeOptions> = {
  root: CHECKS.path,
  cgroupManager: oneOf('cgroupfs', 'systemd', 'disabled'),
  rootless: CHECKS.flag,
  openFiles: CHECKS.object,
  cacheDirectory: CHECKS.path,
  layersDirectory: CHECKS.path,
  environment: CHECKS.object,
  log: CHECKS.object,
};

/** What an explanation shows: the plan as text for a person, and as plain JSON. */
export interface Explanation {
  readonly text: string;
  readonly json: unknown;
}

/**
 * The containers below one root directory.
 *
 * Nothing here ends the process, prints, changes how it takes signals, or waits without its event loop going on. Expected failures are
 * TsrunErrors, wrong arguments TypeErrors.
 */
export class Runtime {
  readonly #runtime: Operations;
  /** Id -> first process of a container that was made here: only its parent learns how it ends. */
  readonly #made = new Map<string, WatchedProcess>();

  /** `host`: what this process sees of the machine, for one that stays as it is. Default: it is looked at each time. */
  constructor(options: RuntimeOptions, host?: CallersHost) {
    checkOptions('Runtime', options, RUNTIME_CHECKS);
    checkGiven('Runtime', 'root', options.root, CHECKS.path);
    const { log, openFiles, cgroupManager = 'cgroupfs', ...rest } = options;
    const limits = openFiles && { soft: BigInt(openFiles.soft), hard: BigInt(openFiles.hard) };
    this.#runtime = ownRuntime(
      { ...rest, cgroupManager, log: toLog(log), ...(limits && { openFiles: limits }) },
      {
        loadConfig: new KnownConfigs().load,
        planContainer: new KnownPlans().plan,
        planEntry: new KnownEntries().plan,
        ...(host && { host }),
      },
    );
  }

  /** Makes a container whose program waits for `start`. When it fails, or is interrupted, nothing is left of it. */
  async createContainer(options: CreateContainerOptions): Promise<Container> {
    checkOptions('createContainer', options, OPTION_CHECKS.create);
    checkGiven('createContainer', 'id', options.id, CHECKS.text);
    const source = configSource('createContainer', options);
    const process = await this.#start(options, {}, async (program) => {
      const { notifySocket } = options;
      await createContainer(this.#runtime, {
        ...source,
        ...program,
        ...(notifySocket !== undefined && { notifySocket }),
      });
    });
    return this.#handle(options.id, process);
  }

  /**
   * Makes a container and has its program run, which it resolves with. At the end of the program the container is removed, unless with
   * `keep`; `wait` waits for that too.
   */
  async runContainer(options: RunContainerOptions): Promise<Process> {
    checkOptions('runContainer', options, OPTION_CHECKS.run);
    checkGiven('runContainer', 'id', options.id, CHECKS.text);
    const { notifySocket } = options;
    const source = configSource('runContainer', options);
    return await this.#start(options, this.#removal(options), async (program) => {
      const notify = notifySocket === undefined ? {} : { notifySocket };
      await runContainer(this.#runtime, { ...source, ...program, ...notify, detach: true, keep: true });
    });
  }

  /**
   * Has a container go on that `checkpoint` has saved, by CRIU, and resolves with its program. When that fails, nothing is left of it. At the
   * end of the program the container is removed, unless with `keep`.
   */
  async restoreContainer(options: RestoreContainerOptions): Promise<Process> {
    checkOptions('restoreContainer', options, OPTION_CHECKS.restore);
    checkGiven('restoreContainer', 'id', options.id, CHECKS.text);
    checkGiven('restoreContainer', 'imagePath', options.imagePath, CHECKS.path);
    const source = configSource('restoreContainer', options);
    return await this.#start(
      options,
      this.#removal(options),
      async ({ preserved: _none, listenFds: _sockets, ...program }) => {
        // Few programs need it.
        const { restoreContainer } = await import('../container/restore.ts');
        await restoreContainer(this.#runtime, {
          ...imageOptions(options),
          ...source,
          ...program,
          detach: true,
          keep: true,
        });
      },
    );
  }

  /** The handle of a container that exists, whoever has made it. Errors: `not-found`, `state`. */
  openContainer(id: string): Container {
    checkGiven('openContainer', 'id', id, CHECKS.text);
    return this.#handle(id, undefined);
  }

  /** All containers, by id. Errors: `state`. */
  listContainers(): readonly ContainerStatus[] {
    return listContainers(this.#runtime);
  }

  /** What creating a container would do on this host, without doing any of it. */
  async explain(options: ConfigOptions): Promise<Explanation> {
    checkOptions('explain', options, OPTION_CHECKS.explain);
    checkGiven('explain', 'id', options.id, CHECKS.text);
    return await explainContainer(this.#runtime, { ...configSource('explain', options), preserved: [] });
  }

  #removal({ id, keep = false }: Pick<RunContainerOptions, 'id' | 'keep'>): { readonly atEnd?: () => Promise<void> } {
    if (keep) return {};
    return {
      atEnd: async () => {
        await deleteContainer(this.#runtime, { id, force: true });
        this.#made.delete(id);
      },
    };
  }

  async #start(
    options: RunContainerOptions,
    { atEnd }: { readonly atEnd?: () => Promise<void> },
    start: Parameters<typeof startProgram>[1],
  ): Promise<Process> {
    const { id } = options;
    let keep: (end: ProcessEnd) => void = () => undefined;
    const onWatched = (watched: WatchedProcess): void => {
      this.#made.set(id, watched);
      keep = endKeeper(this.#runtime.root, id);
    };
    const common = { runtime: this.#runtime, id, options, isNew: true, onWatched };
    const keepEnd = (end: ProcessEnd): Promise<void> => {
      keep(end);
      return Promise.resolve();
    };
    return await startProgram({ ...common, atEnd: atEnd ?? keepEnd }, start);
  }

  #handle(id: string, process: Process | undefined): Container {
    const { pid } = readStatus(this.#runtime, id);
    const known = this.#made.get(id);
    // One of this id that was made here may be gone, and another have its name.
    const isKnown = known !== undefined && (pid === 0 || pid === known.pid);
    const init = isKnown ? known : this.#watch(id, pid);
    const onDeleted = (): void => {
      if (this.#made.get(id) === init) this.#made.delete(id);
    };
    return new Container({ runtime: this.#runtime, id, init, isMadeHere: isKnown, process, onDeleted });
  }

  #watch(id: string, pid: number): WatchedProcess | undefined {
    const identity = pid === 0 ? undefined : identifyProcess(pid);
    const pidfd = identity && openProcess(identity);
    if (pidfd === undefined) return undefined;
    try {
      // The number is this container's still, now that nobody else can have it.
      if (readStatus(this.#runtime, id).pid !== pid) throw doesNotExist(id, this.#runtime.root);
      return new WatchedProcess(pid, pidfd, OomCounter.of(this.#runtime.root, id, { isNew: false }));
    } catch (error) {
      pidfd.close();
      throw error;
    }
  }
}
