import { rmSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { StateDirectory } from '../../container/store/directory.ts';
import type { ContainerRecord } from '../../container/store/record.ts';
import { readOomKills } from '../../cgroup/oom.ts';
import type { Container } from '../../library/container.ts';
import type { CheckpointContainerOptions } from '../../library/options.ts';
import type { Runtime } from '../../library/runtime.ts';
import { hasOwnPids } from '../../plan/choose-container.ts';
import type { Config, Resources } from '../../spec/generated/config.ts';
import { parseJson } from '../../spec/parse.ts';
import { SIGNALS } from '../../util/signals.ts';
import { CODE, RpcError } from '../wire/rpc.ts';
import { wording } from '../../util/wording.ts';
import { timestampOf, type Any, type Mount } from '../wire/common.ts';
import { removeBundleRecord, writeBundleRecord, type BundleRecord } from './bundle-record.ts';
import type { Exec } from './exec.ts';
import { exitOf, UNKNOWN_STATUS, type Exit } from './exit.ts';
import { ProcessIo, type StdioPlaces } from './io.ts';
import { followOom } from './oom.ts';
import { readOptions } from './options.ts';
import { mountRootfs, unmountRootfs } from './rootfs.ts';
import type { Setting } from './setting.ts';
import { encodeStats } from './stats.ts';

/** What a container is created from. */
export interface TaskOptions {
  readonly id: string;
  /** Absolute path. */
  readonly bundle: string;
  readonly rootfs: readonly Mount[];
  readonly places: StdioPlaces;
  readonly options: Any | undefined;
  /** Directory of an image that it is restored from when it is started; empty without. */
  readonly checkpoint: string;
}

/** What there is of it from the beginning. */
interface Parts {
  readonly io: ProcessIo;
  readonly place: BundleRecord;
  readonly runtime: Runtime;
  /** Where CRIU is to leave its log; empty: beside the container's other files, unless all goes well. */
  readonly criuWorkPath: string;
}

/** What there is of a container that is made. */
interface Made {
  readonly container: Container;
  /** What has the terminal. */
  readonly process: Pick<Container, 'resize'>;
  readonly record: ContainerRecord;
  readonly hasOwnPids: boolean;
}

/** A container that this shim holds, from its creation to its deletion. */
export class TaskContainer {
  readonly id: string;
  readonly bundle: string;
  readonly places: StdioPlaces;
  /** Id -> process that was added. */
  readonly execs = new Map<string, Exec>();
  /** Resolves with its end, when that and the ends of its other processes have been published. */
  readonly exited: Promise<Exit>;
  status: 'created' | 'running' | 'pausing' | 'paused' | 'stopped' = 'created';
  exit: Exit | undefined;
  readonly #setting: Setting;
  readonly #parts: Parts;
  readonly #checkpoint: string;
  #made: Made | undefined;
  readonly #over = new AbortController();
  #starting: Promise<void> | undefined;
  #settle: (exit: Exit) => void = () => undefined;

  private constructor({ id, bundle, places, checkpoint }: TaskOptions, parts: Parts, setting: Setting) {
    this.id = id;
    this.bundle = bundle;
    this.places = places;
    this.#checkpoint = checkpoint;
    this.#parts = parts;
    this.#setting = setting;
    this.exited = new Promise((resolve) => (this.#settle = resolve));
  }

  /**
   * Makes a container whose program waits for `start`, or what is restored then; when it fails nothing is left. Errors: those of the library,
   * `RpcError`.
   */
  static async create(task: TaskOptions, setting: Setting): Promise<TaskContainer> {
    const { id, bundle, rootfs, places, checkpoint } = task;
    const { log, namespace, reaper, publisher } = setting;
    const { root, systemdCgroup, noPivotRoot, noNewKeyring, criuWorkPath = '' } = readOptions(task.options, log);
    const place = {
      root: path.join(root, namespace),
      cgroupManager: systemdCgroup ? ('systemd' as const) : ('cgroupfs' as const),
    };
    const target = path.join(bundle, 'rootfs');
    let io: ProcessIo | undefined;
    try {
      writeBundleRecord(bundle, place);
      await reaper.during(() => mountRootfs(target, rootfs));
      io = await ProcessIo.open(places, { id, namespace, reaper });
      const { stdio } = io;
      const runtime = setting.runtimeAt(place);
      const made = new TaskContainer(task, { io, place, runtime, criuWorkPath }, setting);
      if (checkpoint === '') {
        const container = await reaper.during(async () => {
          const created = await runtime.createContainer({ id, bundle, stdio, noPivot: noPivotRoot, noNewKeyring });
          reaper.claim(created.pid, created.wait());
          return created;
        });
        io.connect(container);
        made.#made = { container, process: container, ...readMade(place, id) };
      }
      const event = { containerId: id, bundle, rootfs, io: places, checkpoint, pid: made.pid };
      publisher.publish('/tasks/create', event);
      if (made.isMade) void made.#follow();
      return made;
    } catch (error) {
      io?.close();
      unmountRootfs(target);
      removeBundleRecord(bundle);
      throw error;
    }
  }

  /** 0 of one that is yet to be restored. */
  get pid(): number {
    return this.#made?.container.pid ?? 0;
  }

  /** Unless it is yet to be restored. */
  get isMade(): boolean {
    return this.#made !== undefined;
  }

  /** The handle, for what is added to it. Errors: `RpcError` FAILED_PRECONDITION before it is restored. */
  get container(): Container {
    return this.#known.container;
  }

  get #known(): Made {
    if (this.#made !== undefined) return this.#made;
    throw new RpcError(CODE.failedPrecondition, `container ${JSON.stringify(this.id)} is restored when it is started`);
  }

  /** Runs its program; once. Errors: those of the library; `RpcError` FAILED_PRECONDITION. */
  async start(): Promise<void> {
    if (this.#starting !== undefined) throw new RpcError(CODE.failedPrecondition, wording.startRunning);
    this.#starting = this.#start();
    await this.#starting;
  }

  async #start(): Promise<void> {
    const { publisher, reaper, log } = this.#setting;
    if (this.#made === undefined) await this.#restore();
    else await reaper.during(() => this.container.start());
    this.status = 'running';
    publisher.publish('/tasks/start', { containerId: this.id, pid: this.pid });
    const tell = (): void => {
      publisher.publish('/tasks/oom', { containerId: this.id });
    };
    void followOom(this.#known.record, this.#over.signal, tell).catch((error: unknown) => {
      log.warning(`container ${this.id}: ${error instanceof Error ? error.message : String(error)}`);
    });
  }

  /** What was allowed when it was saved is allowed now: nobody says it again. */
  async #restore(): Promise<void> {
    const { id, bundle } = this;
    const { io, place, runtime } = this.#parts;
    const { reaper } = this.#setting;
    const allowed = { tcpEstablished: true, extUnixSk: true, fileLocks: true };
    const process = await this.#withWork(this.#parts.criuWorkPath, (workPath) =>
      reaper.during(async () => {
        const image = { imagePath: this.#checkpoint, workPath, ...allowed };
        const restored = await runtime.restoreContainer({ id, bundle, stdio: io.stdio, ...image, keep: true });
        reaper.claim(restored.pid, restored.wait());
        return restored;
      }),
    );
    io.connect(process);
    this.#made = { container: runtime.openContainer(id), process, ...readMade(place, id) };
    void this.#follow();
  }

  /** Saves it; unless it goes on, it ends by that. Errors: those of the library. */
  async checkpoint(options: CheckpointContainerOptions): Promise<void> {
    const { container } = this;
    await this.#withWork(options.workPath ?? this.#parts.criuWorkPath, (workPath) =>
      this.#setting.reaper.during(() => container.checkpoint({ ...options, workPath })),
    );
  }

  /** Has CRIU work in a directory, which is kept when it is somebody's own, or has the log of a failure. */
  async #withWork<T>(own: string, operation: (workPath: string) => Promise<T>): Promise<T> {
    if (own !== '') return await operation(own);
    const work = path.join(this.bundle, 'criu-work');
    const result = await operation(work);
    rmSync(work, { recursive: true, force: true });
    return result;
  }

  async #follow(): Promise<void> {
    const { publisher, log } = this.#setting;
    const exit = exitOf(await this.container.wait());
    // Its start is told before its end.
    await this.#starting?.catch(() => undefined);
    if (!this.#known.hasOwnPids) {
      await this.container.kill(SIGNALS.KILL, { all: true }).catch((error: unknown) => {
        log.warning(`container ${this.id}: ${error instanceof Error ? error.message : String(error)}`);
      });
    }
    await Promise.all([...this.execs.values()].map((exec) => exec.settled()));
    this.#over.abort();
    this.exit = exit;
    this.status = 'stopped';
    const exitedAt = timestampOf(exit.atMs);
    const { id, pid } = this;
    publisher.publish('/tasks/exit', { containerId: id, id, pid, exitStatus: exit.status, exitedAt });
    this.#settle(exit);
  }

  closeInput(): void {
    this.#parts.io.closeInput();
  }

  resize(size: { readonly columns: number; readonly rows: number }): void {
    this.#known.process.resize(size);
  }

  async pause(): Promise<void> {
    const { container } = this;
    const before = this.status;
    this.status = 'pausing';
    try {
      await container.pause();
    } catch (error) {
      // It may have ended meanwhile.
      if ((this.status as string) === 'pausing') this.status = before;
      throw error;
    }
    if (this.exit === undefined) this.status = 'paused';
    this.#setting.publisher.publish('/tasks/paused', { containerId: this.id });
  }

  async resume(): Promise<void> {
    await this.container.resume();
    if (this.exit === undefined) this.status = 'running';
    this.#setting.publisher.publish('/tasks/resumed', { containerId: this.id });
  }

  async update(resources: Resources): Promise<void> {
    await this.container.update(resources);
  }

  /** What the kernel has counted for it. */
  stats(): Any {
    const { cgroup } = this.#known.record;
    const isVersion1 = cgroup.directories.some(({ kind }) => kind === 'v1');
    return encodeStats(this.container.stats(), { isVersion1, oomKills: readOomKills(cgroup) });
  }

  /** Removes all of it. Errors: those of the library. */
  async remove(drainMs: number): Promise<void> {
    const { io } = this.#parts;
    await io.drain(drainMs);
    // What CRIU has begun it ends.
    if (this.#made === undefined) await this.#starting?.catch(() => undefined);
    await this.#removeMade(this.#made);
    await this.exited;
    await Promise.all([...this.execs.values()].map((exec) => exec.close(0)));
    io.close();
    unmountRootfs(path.join(this.bundle, 'rootfs'));
    removeBundleRecord(this.bundle);
  }

  /** One that was never started ends by that. */
  async #removeMade(made: Made | undefined): Promise<void> {
    if (made === undefined) {
      this.exit ??= { status: UNKNOWN_STATUS, atMs: Date.now() };
      this.status = 'stopped';
      this.#settle(this.exit);
      return;
    }
    const { container } = made;
    await this.#setting.reaper
      .during(() => container.delete({ force: true }))
      .catch((error: unknown) => {
        // A command of containerd's has done so, by its state.
        if (!(error instanceof TsrunError && error.code === 'not-found')) throw error;
        container.close();
      });
  }
}

/** The record of a container, and whether the end of its first process is the end of all. */
function readMade({ root }: BundleRecord, id: string): Pick<Made, 'record' | 'hasOwnPids'> {
  using directory = new StateDirectory(root, id);
  const config = parseJson(directory.readConfigText() ?? '{}') as Config;
  return { record: directory.readRecord(), hasOwnPids: hasOwnPids(config) };
}
