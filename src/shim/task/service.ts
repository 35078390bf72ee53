import { TsrunError } from '../../errors.ts';
import type { Process as ProcessSection, Resources } from '../../spec/generated/config.ts';
import { parseJson } from '../../spec/parse.ts';
import { hasErrno } from '../../sys/errno.ts';
import { nowMs } from '../../sys/clock.ts';
import type { Caller, Method, Services } from '../ttrpc/server.ts';
import { decode, encode, type Fields, type Given, type Value } from '../wire/codec.ts';
import { NEVER, timestampOf } from '../wire/common.ts';
import { CODE, RpcError } from '../wire/rpc.ts';
import { METHODS, PROCESS_DETAILS, SERVICES, TASK_STATUS } from '../wire/task.ts';
import { writeDeletedAnswer } from './bundle-record.ts';
import { TaskContainer } from './container.ts';
import { Exec } from './exec.ts';
import type { Exit } from './exit.ts';
import { alreadyFinished, failedWith, translate } from './failures.ts';
import type { Setting } from './setting.ts';

/** `TaskContainer.create`, or what stands for it. */
type MakeContainer = (...args: Parameters<typeof TaskContainer.create>) => Promise<TaskContainer>;
type Name = keyof typeof METHODS;
type Request<Method extends Name> = Value<(typeof METHODS)[Method]['request']>;
type Response<Method extends Name> = Given<(typeof METHODS)[Method]['response']>;
type Handlers = { readonly [Method in Name]: (request: Request<Method>, caller: Caller) => Promise<Response<Method>> };

/** How long what a process wrote is waited for when it is deleted: somebody else may hold its pipe. */
const DRAIN_MS = 2_000;
/** containerd connects and creates at once. */
const EXPECTED_MS = 60_000;

/** The containers of a shim, and what containerd may ask of them. */
export class TaskService {
  readonly #containers = new Map<string, TaskContainer>();
  /** Id of a container that is being made -> its bundle, and when that is over, however. */
  readonly #creating = new Map<string, { readonly bundle: string; readonly over: Promise<unknown> }>();
  /** Those of them that were deleted before they were there. */
  readonly #unwanted = new Set<string>();
  /** Id of a container that containerd is going to make -> until when that is believed, by the clock of `nowMs`. */
  readonly #expected = new Map<string, number>();
  /** Id of a container of which nothing is wanted any more -> its removal. */
  readonly #leaving = new Map<string, Promise<void>>();
  /** containerd wants no more of this shim. */
  #isUnwanted = false;
  /** Bundle of a container that is deleted -> what its `delete` is to answer, once nothing of this shim is left. */
  readonly #deleted = new Map<string, Uint8Array>();
  readonly #setting: Setting;
  readonly #shutDown: (() => Promise<void>) | undefined;
  readonly #makeContainer: MakeContainer;

  /**
   * `shutDown` is called when nothing is held any more and containerd wants no more: nobody finds this shim when it resolves. Without it
   * the shim has others to expect, whatever containerd says of one.
   */
  constructor(
    setting: Setting,
    shutDown?: () => Promise<void>,
    makeContainer: MakeContainer = (task, own) => TaskContainer.create(task, own),
  ) {
    this.#setting = setting;
    this.#shutDown = shutDown;
    this.#makeContainer = makeContainer;
  }

  /** Nothing is held, made or expected. */
  get isEmpty(): boolean {
    const now = nowMs();
    for (const [id, untilMs] of this.#expected) if (now >= untilMs) this.#expected.delete(id);
    return this.#containers.size + this.#creating.size + this.#expected.size === 0;
  }

  /** Of every container, the latest first. */
  bundles(): readonly string[] {
    return [...[...this.#containers.values()].reverse(), ...this.#creating.values()].map(({ bundle }) => bundle);
  }

  /** Whether a container is held or being made. */
  has(id: string): boolean {
    return this.#containers.has(id) || this.#creating.has(id);
  }

  /** containerd is going to make a container; one of this id that has ended is no longer known there. Errors: those of the library. */
  async expect(id: string): Promise<void> {
    this.#expected.set(id, nowMs() + EXPECTED_MS);
    if (this.#containers.get(id)?.status === 'stopped') await this.#leave(id);
  }

  /** Removes what there is of a container, whatever it does. Errors: those of the library. */
  async forget(id: string): Promise<void> {
    this.#expected.delete(id);
    await this.#creating.get(id)?.over;
    await this.#leave(id);
  }

  async #leave(id: string): Promise<void> {
    const container = this.#containers.get(id);
    if (container === undefined) return;
    const leaving = this.#leaving.get(id) ?? container.remove(0);
    this.#leaving.set(id, leaving);
    try {
      await leaving;
    } finally {
      if (this.#containers.get(id) === container) this.#containers.delete(id);
      this.#leaving.delete(id);
    }
  }

  /** The methods, by the names of both versions of the service. */
  services(): Services {
    const methods = new Map(
      Object.entries(METHODS).map(([name, { request, response }]): [string, Method] => {
        const handler = this.#handlers[name as Name] as (request: unknown, caller: Caller) => Promise<Given<Fields>>;
        return [
          name,
          async (payload, caller) => {
            try {
              return encode(response as Fields, await handler(decode(request as Fields, payload), caller));
            } catch (error) {
              throw translate(error);
            }
          },
        ];
      }),
    );
    return new Map(SERVICES.map((service) => [service, methods]));
  }

  readonly #handlers: Handlers = {
    Create: (request, caller) => this.#create(request, caller),
    Start: async ({ id, execId }) => {
      const container = this.#container(id);
      if (execId === '') {
        await container.start().catch(failedWith('OCI runtime start failed'));
        return { pid: container.pid };
      }
      const exec = this.#exec(container, execId);
      await exec.start(container.container).catch(failedWith('OCI runtime exec failed: exec failed'));
      return { pid: exec.pid };
    },
    Exec: (request) => Promise.resolve(this.#add(request)),
    State: ({ id, execId }) => {
      const container = this.#container(id);
      const found = execId === '' ? container : this.#exec(container, execId);
      const { pid, places, status, exit } = found;
      return Promise.resolve({
        id: found.id,
        bundle: container.bundle,
        pid,
        status: TASK_STATUS[status],
        ...places,
        ...exitOn(exit),
        execId,
      });
    },
    Wait: async ({ id, execId }) => exitOn(await this.#find(id, execId).exited),
    Delete: ({ id, execId }) => (execId === '' ? this.#delete(id) : this.#deleteExec(id, execId)),
    Kill: async ({ id, execId, signal, all }) => {
      const container = this.#container(id);
      if (execId !== '') {
        if (!this.#exec(container, execId).kill(signal)) throw alreadyFinished();
        return {};
      }
      if (container.exit !== undefined) throw alreadyFinished();
      await container.container.kill(signal, { all }).catch((error: unknown) => {
        throw error instanceof TsrunError && error.code === 'status' ? alreadyFinished() : error;
      });
      return {};
    },
    Pids: ({ id }) => {
      const container = this.#container(id);
      const added = new Map([...container.execs.values()].map((exec) => [exec.pid, exec.id]));
      const processes = container.container.processes().map((pid) => {
        const execId = added.get(pid);
        if (execId === undefined) return { pid };
        const info = { typeUrl: 'containerd.runc.v1.ProcessDetails', value: encode(PROCESS_DETAILS, { execId }) };
        return { pid, info };
      });
      return Promise.resolve({ processes });
    },
    Pause: async ({ id }) => {
      await this.#container(id).pause();
      return {};
    },
    Resume: async ({ id }) => {
      await this.#container(id).resume();
      return {};
    },
    Checkpoint: () => Promise.reject(new RpcError(CODE.unimplemented, 'tsrun makes no checkpoints')),
    ResizePty: ({ id, execId, width, height }) => {
      const size = { columns: width, rows: height };
      const container = this.#container(id);
      if (execId === '') container.container.resize(size);
      else this.#exec(container, execId).resize(size);
      return Promise.resolve({});
    },
    CloseIO: ({ id, execId, stdin }) => {
      if (stdin) this.#find(id, execId).closeInput();
      return Promise.resolve({});
    },
    Update: async ({ id, resources }) => {
      await this.#container(id).update(readJson(resources?.value) as Resources);
      return {};
    },
    Stats: ({ id }) => Promise.resolve({ stats: this.#container(id).stats() }),
    Connect: ({ id }) => {
      const taskPid = this.#containers.get(id)?.pid ?? 0;
      return Promise.resolve({ shimPid: process.pid, taskPid });
    },
    Shutdown: async () => {
      this.#isUnwanted = this.#shutDown !== undefined && this.#containers.size === 0;
      await this.#endUnwanted();
      return {};
    },
  };

  async #create(request: Request<'Create'>, caller: Caller): Promise<Response<'Create'>> {
    const { id, bundle, checkpoint } = request;
    if (checkpoint !== '') throw new RpcError(CODE.unimplemented, 'tsrun restores no checkpoints');
    if (this.has(id)) throw new RpcError(CODE.alreadyExists, `there is a container ${JSON.stringify(id)}`);
    const making = this.#make(request, caller);
    this.#creating.set(id, { bundle, over: making.catch(() => undefined) });
    this.#expected.delete(id);
    try {
      return await making;
    } finally {
      this.#creating.delete(id);
      this.#unwanted.delete(id);
      await this.#endUnwanted();
    }
  }

  async #make(request: Request<'Create'>, caller: Caller): Promise<Response<'Create'>> {
    const { id, bundle, rootfs, options } = request;
    const task = { id, bundle, rootfs, options, places: placesOf(request) };
    const container = await this.#makeContainer(task, this.#setting).catch(failedWith('OCI runtime create failed'));
    if (this.#isUnwanted || this.#unwanted.has(id) || caller.isGone()) {
      // Whoever is gone with its connection does not ask for the end of a shim that holds nothing.
      this.#isUnwanted ||= this.#shutDown !== undefined && this.#containers.size === 0 && this.#creating.size === 1;
      await container.remove(0);
      throw new RpcError(CODE.unavailable, 'the container was given up before it was made');
    }
    this.#containers.set(id, container);
    return { pid: container.pid };
  }

  /** containerd may lose patience with a container that is being made: the shim ends when that is done with. */
  async #endUnwanted(): Promise<void> {
    if (!this.#isUnwanted || this.#containers.size > 0 || this.#creating.size > 0) return;
    await this.#shutDown?.();
    this.#tellDeleted();
  }

  /** No `delete` has anything left to do for these. */
  #tellDeleted(): void {
    for (const [bundle, answer] of this.#deleted) {
      this.#deleted.delete(bundle);
      try {
        writeDeletedAnswer(bundle, answer);
      } catch (error) {
        // containerd was faster.
        if (!hasErrno(error, 'ENOENT')) throw error;
      }
    }
  }

  #add(request: Request<'Exec'>): object {
    const { id, execId, spec } = request;
    const container = this.#container(id);
    if (execId === '') throw new RpcError(CODE.invalidArgument, 'a process that is added needs an id');
    if (container.execs.has(execId))
      throw new RpcError(CODE.alreadyExists, `there is a process ${JSON.stringify(execId)}`);
    const section = readJson(spec?.value) as ProcessSection;
    container.execs.set(execId, new Exec(execId, placesOf(request), section, this.#setting));
    this.#setting.publisher.publish('/tasks/exec-added', { containerId: id, execId });
    return {};
  }

  async #delete(id: string): Promise<Response<'Delete'>> {
    // containerd has lost patience with it, and deletes what it takes to be there.
    if (this.#creating.has(id)) this.#unwanted.add(id);
    const container = this.#container(id);
    const { status, pid } = container;
    if (status !== 'stopped' && status !== 'created')
      throw new RpcError(CODE.failedPrecondition, `cannot delete a container that is ${status}`);
    await container.remove(DRAIN_MS);
    this.#containers.delete(id);
    const answer = { pid, ...exitOn(container.exit) };
    this.#setting.publisher.publish('/tasks/delete', { containerId: id, ...answer });
    this.#deleted.set(container.bundle, encode(METHODS.Delete.response, answer));
    // Whoever is left has the end of this shim to look after; one that stays looks after itself.
    if (this.#containers.size > 0 || this.#shutDown === undefined) this.#tellDeleted();
    return answer;
  }

  async #deleteExec(id: string, execId: string): Promise<Response<'Delete'>> {
    const container = this.#container(id);
    const exec = this.#exec(container, execId);
    if (exec.status === 'running')
      throw new RpcError(CODE.failedPrecondition, 'cannot delete a process that is running');
    await exec.close(DRAIN_MS);
    container.execs.delete(execId);
    return { pid: exec.pid, ...exitOn(exec.exit) };
  }

  #container(id: string): TaskContainer {
    const found = this.#containers.get(id);
    if (found === undefined) throw new RpcError(CODE.notFound, `container ${JSON.stringify(id)}: not found`);
    return found;
  }

  #exec({ id, execs }: TaskContainer, execId: string): Exec {
    const found = execs.get(execId);
    if (found !== undefined) return found;
    throw new RpcError(
      CODE.notFound,
      `process ${JSON.stringify(execId)} of container ${JSON.stringify(id)}: not found`,
    );
  }

  #find(id: string, execId: string): TaskContainer | Exec {
    const container = this.#container(id);
    return execId === '' ? container : this.#exec(container, execId);
  }
}

function placesOf({ terminal, stdin, stdout, stderr }: Request<'Create'> | Request<'Exec'>) {
  return { terminal, stdin, stdout, stderr };
}

function exitOn(exit: Exit | undefined) {
  return exit === undefined
    ? { exitStatus: 0, exitedAt: NEVER }
    : { exitStatus: exit.status, exitedAt: timestampOf(exit.atMs) };
}

function readJson(bytes: Uint8Array | undefined): unknown {
  try {
    return parseJson(Buffer.from(bytes ?? []).toString('utf8'));
  } catch (cause) {
    throw new RpcError(CODE.invalidArgument, 'read a JSON document of the request', { cause });
  }
}
