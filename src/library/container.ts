import type { Readable, Writable } from 'node:stream';
import { deleteContainer } from '../container/delete.ts';
import { containerEvents, containerStats } from '../container/events.ts';
import { execInContainer } from '../container/exec.ts';
import { killContainer } from '../container/kill.ts';
import { pauseContainer } from '../container/pause.ts';
import { listProcesses } from '../container/ps.ts';
import { resumeContainer } from '../container/resume.ts';
import { startContainer } from '../container/start.ts';
import { readStatus } from '../container/state.ts';
import { updateContainer } from '../container/update.ts';
import type { Runtime } from '../container/caller/caller.ts';
import type { ContainerStats, ContainerStatus } from '../container/store/options.ts';
import type { Mount, Resources } from '../spec/generated/config.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { checkGiven, checkOptions, CHECKS, signalNumber } from './check.ts';
import { type Patience, withPatience } from './interruption.ts';
import {
  type CheckpointContainerOptions,
  type DeleteContainerOptions,
  type ExecOptions,
  OPTION_CHECKS,
  processChange,
  type StartContainerOptions,
} from './options.ts';
import { type Plain, plain } from './plain.ts';
import { Process } from './process.ts';
import type { ProcessEnd } from './process-end.ts';
import { startProgram } from './start-program.ts';
import type { ProcessStreams } from './stdio.ts';
import { checkSize, type TerminalSize } from './terminal.ts';
import type { WatchedProcess } from './watched-process.ts';

/** What happens in a container: its statistics at every interval, and that it ran out of memory. */
export type ContainerEvent =
  | { readonly type: 'stats'; readonly id: string; readonly data: Plain<ContainerStats> }
  | { readonly type: 'oom'; readonly id: string };

/** How a handle came by its container. */
export interface ContainerOrigin {
  readonly runtime: Runtime;
  readonly id: string;
  /** Its first process; undefined when it has ended before anybody could watch it. */
  readonly init: WatchedProcess | undefined;
  /** The first process is a child of this one. */
  readonly isMadeHere: boolean;
  /** The process that was made here with the container. */
  readonly process: Process | undefined;
  /** Called when the container is gone. */
  readonly onDeleted: () => void;
}

/** A container. What its methods do is what the commands of the same names do. */
export class Container implements ProcessStreams, AsyncDisposable {
  readonly id: string;
  /** Of its first process, as this process sees it; 0 where there was none any more when the handle was made. */
  readonly pid: number;
  /** Streams of its program, as far as they are pipes or a terminal that this handle has made; null otherwise. */
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  readonly #origin: ContainerOrigin;
  readonly #runtime: Runtime;
  readonly #pidfd: OwnedFd | undefined;

  constructor(origin: ContainerOrigin) {
    const { id, init, process, runtime } = origin;
    this.#origin = origin;
    this.#runtime = runtime;
    this.id = id;
    this.pid = init?.pid ?? 0;
    this.#pidfd = init?.openPidfd();
    this.stdin = process?.stdin ?? null;
    this.stdout = process?.stdout ?? null;
    this.stderr = process?.stderr ?? null;
  }

  /** A descriptor of its first process, which remains the handle's; undefined when there is none, or the handle was let go of. */
  get pidfd(): number | undefined {
    return this.#pidfd?.isOpen === true ? this.#pidfd.number : undefined;
  }

  /** Has its program run. When it is interrupted, or a hook fails, the container is gone. */
  async start(options: StartContainerOptions = {}): Promise<void> {
    checkOptions('start', options, OPTION_CHECKS.start);
    const { notifySocket } = options;
    const given = notifySocket === undefined ? {} : { notifySocket };
    await withPatience(options, () => startContainer(this.#runtime, this.id, given));
  }

  /**
   * Runs a further process in it. Resolves when that runs. With `hold` all is prepared, and the process enters the container when that
   * resolves; it is called with the pid of a child of this process that waits.
   */
  async exec(options: ExecOptions, hold?: (pid: number) => Promise<void>): Promise<Process> {
    checkOptions('exec', options, OPTION_CHECKS.exec);
    const { ignorePaused = false, subCgroups } = options;
    const change = processChange('exec', options);
    return await startProgram({ runtime: this.#runtime, id: this.id, options, isNew: false }, async (program) => {
      await execInContainer(this.#runtime, {
        id: this.id,
        change,
        ...program,
        detach: true,
        ignorePaused,
        ...(hold !== undefined && { hold }),
        ...(subCgroups !== undefined && { subCgroups }),
      });
    });
  }

  /** Sends a signal, by its name or number, to its first process, or to all of them. Errors: `status` when there is none. */
  async kill(signal: string | number = 'SIGTERM', options: { readonly all?: boolean } = {}): Promise<void> {
    checkOptions('kill', options, { all: CHECKS.flag });
    const number = signalNumber('kill', signal);
    await withPatience({}, () =>
      killContainer(this.#runtime, { id: this.id, signal: number, all: options.all === true }),
    );
  }

  /** Waits for the end of its first process; one that is no child of this process ends without a code. */
  async wait(patience: Patience = {}): Promise<ProcessEnd> {
    checkOptions('wait', patience, OPTION_CHECKS.patience);
    const { process, init } = this.#origin;
    if (process !== undefined) return await process.wait(patience);
    return (await init?.wait(patience)) ?? { code: undefined, signal: undefined, oomKilled: false };
  }

  /** Removes it. Errors: `status` while it runs, unless with `force`. */
  async delete(options: DeleteContainerOptions = {}): Promise<void> {
    checkOptions('delete', options, OPTION_CHECKS.delete);
    await withPatience(options, async () => {
      await deleteContainer(this.#runtime, { id: this.id, force: options.force === true });
      // A child of this process leaves no zombie behind.
      await this.#origin.init?.wait();
    });
    this.close();
    this.#origin.onDeleted();
  }

  /** Gives its terminal a size. */
  resize(size: TerminalSize): void {
    checkGiven('resize', 'size', size, checkSize);
    this.#origin.process?.resize(size);
  }

  async pause(patience: Patience = {}): Promise<void> {
    checkOptions('pause', patience, OPTION_CHECKS.patience);
    await withPatience(patience, () => pauseContainer(this.#runtime, this.id));
  }

  async resume(patience: Patience = {}): Promise<void> {
    checkOptions('resume', patience, OPTION_CHECKS.patience);
    await withPatience(patience, () => resumeContainer(this.#runtime, this.id));
  }

  /**
   * Saves it to a directory by CRIU. Afterwards the container is gone, unless with `leaveRunning` or `preDump`; when that fails, it goes on.
   */
  async checkpoint(options: CheckpointContainerOptions): Promise<void> {
    checkOptions('checkpoint', options, OPTION_CHECKS.checkpoint);
    checkGiven('checkpoint', 'imagePath', options.imagePath, CHECKS.path);
    const { signal, timeoutMs, ...how } = options;
    const isGone = options.leaveRunning !== true && options.preDump !== true;
    const patience = { ...(signal !== undefined && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) };
    await withPatience(patience, async () => {
      // Few programs need it.
      const { checkpointContainer } = await import('../container/checkpoint.ts');
      await checkpointContainer(this.#runtime, { id: this.id, ...how });
      if (isGone) await this.#origin.init?.wait();
    });
    if (!isGone) return;
    this.close();
    this.#origin.onDeleted();
  }

  /** Changes its limits; what `resources` does not name stays as it is. */
  async update(resources: Resources, patience: Patience = {}): Promise<void> {
    checkGiven('update', 'resources', resources, CHECKS.object);
    checkOptions('update', patience, OPTION_CHECKS.patience);
    const changes = { kind: 'resources', resources } as const;
    await withPatience(patience, () => updateContainer(this.#runtime, { id: this.id, changes }));
  }

  /** Mounts a file or directory of the host, or a tmpfs, in it, written as in config.json. Errors: `status`, `bundle`, `unsupported`, `step`. */
  async addMount(mount: Mount, patience: Patience = {}): Promise<void> {
    checkGiven('addMount', 'mount', mount, CHECKS.object);
    checkGiven('addMount', 'destination', mount.destination, CHECKS.path);
    checkOptions('addMount', patience, OPTION_CHECKS.patience);
    await withPatience(patience, async () => {
      // Few programs need it.
      const { addMount } = await import('../container/mount.ts');
      await addMount(this.#runtime, { id: this.id, mount });
    });
  }

  /** Takes the topmost mount at a place in it away. Errors: `status`; `step` where nothing is mounted. */
  async removeMount(target: string, patience: Patience = {}): Promise<void> {
    checkGiven('removeMount', 'target', target, CHECKS.path);
    checkOptions('removeMount', patience, OPTION_CHECKS.patience);
    await withPatience(patience, async () => {
      const { removeMount } = await import('../container/mount.ts');
      await removeMount(this.#runtime, { id: this.id, target });
    });
  }

  /** The container as it is at this moment. Errors: `not-found`, `state`. */
  status(): ContainerStatus {
    return readStatus(this.#runtime, this.id);
  }

  /** What the kernel has counted for it. Errors: `status` when it has ended; `cgroup`. */
  stats(): Plain<ContainerStats> {
    return plain(containerStats(this.#runtime, this.id));
  }

  /** Statistics at every interval, and each time that it runs out of memory, until it ends. */
  async *events(options: {
    readonly intervalMs: number;
    readonly signal?: AbortSignal;
  }): AsyncGenerator<ContainerEvent, void, void> {
    checkOptions('events', options, { intervalMs: CHECKS.timeoutMs, signal: CHECKS.signal });
    for await (const event of containerEvents(this.#runtime, { id: this.id, ...options }))
      yield event.type === 'stats' ? { ...event, data: plain(event.data) } : event;
  }

  /** The pids of all its processes, as this process sees them. Errors: `unsupported` without a cgroup. */
  processes(): readonly number[] {
    return listProcesses(this.#runtime, this.id);
  }

  /** Lets go of the handle; the container stays. */
  close(): void {
    this.#pidfd?.close();
    if (!this.#origin.isMadeHere) this.#origin.init?.close();
  }

  /** Removes a container that was made with this handle, whatever it does; lets go of one that was opened. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#origin.process === undefined) this.close();
    else await this.delete({ force: true });
  }
}
