import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { StateDirectory } from '../../container/store/directory.ts';
import type { ContainerRecord } from '../../container/store/record.ts';
import { readOomKills } from '../../cgroup/oom.ts';
import type { Container } from '../../library/container.ts';
import { hasOwnPids } from '../../plan/choose-container.ts';
import type { Config, Resources } from '../../spec/generated/config.ts';
import { parseJson } from '../../spec/parse.ts';
import { SIGNALS } from '../../util/signals.ts';
import { CODE, RpcError } from '../wire/rpc.ts';
import { wording } from '../../util/wording.ts';
import { timestampOf, type Any, type Mount } from '../wire/common.ts';
import { removeBundleRecord, writeBundleRecord, type BundleRecord } from './bundle-record.ts';
import type { Exec } from './exec.ts';
import { exitOf, type Exit } from './exit.ts';
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
}

/** What there is of a container that is made. */
interface Parts {
  readonly container: Container;
  readonly io: ProcessIo;
  readonly record: ContainerRecord;
  readonly place: BundleRecord;
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
  readonly #over = new AbortController();
  #starting: Promise<void> | undefined;
  #settle: (exit: Exit) => void = () => undefined;

  private constructor({ id, bundle, places }: TaskOptions, parts: Parts, setting: Setting) {
    this.id = id;
    this.bundle = bundle;
    this.places = places;
    this.#parts = parts;
    this.#setting = setting;
    this.exited = new Promise((resolve) => (this.#settle = resolve));
  }

  /** Makes a container whose program waits for `start`; when it fails nothing is left. Errors: those of the library, `RpcError`. */
  static async create(task: TaskOptions, setting: Setting): Promise<TaskContainer> {
    const { id, bundle, rootfs, places } = task;
    const { log, namespace, reaper, publisher } = setting;
    const { root, systemdCgroup, noPivotRoot, noNewKeyring } = readOptions(task.options, log);
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
      const container = await reaper.during(async () => {
        const runtime = setting.runtimeAt(place);
        const made = await runtime.createContainer({ id, bundle, stdio, noPivot: noPivotRoot, noNewKeyring });
        reaper.claim(made.pid, made.wait());
        return made;
      });
      io.connect(container);
      const parts = { container, io, place, ...readMade(place, id) };
      const made = new TaskContainer(task, parts, setting);
      const event = { containerId: id, bundle, rootfs, io: places, pid: container.pid };
      publisher.publish('/tasks/create', event);
      void made.#follow();
      return made;
    } catch (error) {
      io?.close();
      unmountRootfs(target);
      removeBundleRecord(bundle);
      throw error;
    }
  }

  get pid(): number {
    return this.#parts.container.pid;
  }

  /** The handle, for what is added to it. */
  get container(): Container {
    return this.#parts.container;
  }

  /** Runs its program; once. Errors: those of the library; `RpcError` FAILED_PRECONDITION. */
  async start(): Promise<void> {
    if (this.#starting !== undefined) throw new RpcError(CODE.failedPrecondition, wording.startRunning);
    this.#starting = this.#start();
    await this.#starting;
  }

  async #start(): Promise<void> {
    const { publisher, reaper, log } = this.#setting;
    await reaper.during(() => this.container.start());
    this.status = 'running';
    publisher.publish('/tasks/start', { containerId: this.id, pid: this.pid });
    const tell = (): void => {
      publisher.publish('/tasks/oom', { containerId: this.id });
    };
    void followOom(this.#parts.record, this.#over.signal, tell).catch((error: unknown) => {
      log.warning(`container ${this.id}: ${error instanceof Error ? error.message : String(error)}`);
    });
  }

  async #follow(): Promise<void> {
    const { publisher, log } = this.#setting;
    const exit = exitOf(await this.container.wait());
    // Its start is told before its end.
    await this.#starting?.catch(() => undefined);
    if (!this.#parts.hasOwnPids) {
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

  async pause(): Promise<void> {
    const before = this.status;
    this.status = 'pausing';
    try {
      await this.container.pause();
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
    const { cgroup } = this.#parts.record;
    const isVersion1 = cgroup.directories.some(({ kind }) => kind === 'v1');
    return encodeStats(this.container.stats(), { isVersion1, oomKills: readOomKills(cgroup) });
  }

  /** Removes all of it. Errors: those of the library. */
  async remove(drainMs: number): Promise<void> {
    const { io } = this.#parts;
    await io.drain(drainMs);
    await this.#setting.reaper
      .during(() => this.container.delete({ force: true }))
      .catch((error: unknown) => {
        // A command of containerd's has done so, by its state.
        if (!(error instanceof TsrunError && error.code === 'not-found')) throw error;
        this.container.close();
      });
    // One that was never started ends by that.
    await this.exited;
    await Promise.all([...this.execs.values()].map((exec) => exec.close(0)));
    io.close();
    unmountRootfs(path.join(this.bundle, 'rootfs'));
    removeBundleRecord(this.bundle);
  }
}

/** The record of a container, and whether the end of its first process is the end of all. */
function readMade({ root }: BundleRecord, id: string): Pick<Parts, 'record' | 'hasOwnPids'> {
  using directory = new StateDirectory(root, id);
  const config = parseJson(directory.readConfigText() ?? '{}') as Config;
  return { record: directory.readRecord(), hasOwnPids: hasOwnPids(config) };
}
