import { TsrunError } from '../../errors.ts';
import type { Process as ProcessSection, Resources } from '../../spec/generated/config.ts';
import { parseJson } from '../../spec/parse.ts';
import { inTurn } from '../../sys/events/turn-queue.ts';
import type { Caller, Method, Services } from '../ttrpc/server.ts';
import { decode, encode, type Fields, type Given, type Value } from '../../protobuf/codec.ts';
import { NEVER, timestampOf } from '../wire/common.ts';
import { CODE, RpcError } from '../wire/rpc.ts';
import { METHODS, PROCESS_DETAILS, SERVICES, TASK_STATUS } from '../wire/task.ts';
import { readCheckpointOptions } from './checkpoint-options.ts';
import type { TaskContainer } from './container.ts';
import { DRAIN_MS, type HeldContainers } from './containers.ts';
import { Exec } from './exec.ts';
import type { Exit } from './exit.ts';
import { alreadyFinished, failedWith, translate } from './failures.ts';
import type { Setting } from './setting.ts';

type Name = keyof typeof METHODS;
type Request<Method extends Name> = Value<(typeof METHODS)[Method]['request']>;
type Response<Method extends Name> = Given<(typeof METHODS)[Method]['response']>;
type Handlers = { readonly [Method in Name]: (request: Request<Method>, caller: Caller) => Promise<Response<Method>> };

/** What containerd may ask of the containers of a shim. */
export class TaskService {
  readonly #containers: HeldContainers;
  readonly #setting: Setting;

  constructor(containers: HeldContainers, setting: Setting) {
    this.#containers = containers;
    this.#setting = setting;
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
      const container = this.#containers.get(id);
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
      const container = this.#containers.get(id);
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
      const container = this.#containers.get(id);
      if (execId !== '') {
        if (!this.#exec(container, execId).kill(signal)) throw alreadyFinished();
        return {};
      }
      if (container.exit !== undefined || !container.isMade) throw alreadyFinished();
      await container.container.kill(signal, { all }).catch((error: unknown) => {
        throw error instanceof TsrunError && error.code === 'status' ? alreadyFinished() : error;
      });
      return {};
    },
    Pids: ({ id }) => {
      const container = this.#containers.get(id);
      const added = new Map([...container.execs.values()].map((exec) => [exec.pid, exec.id]));
      if (!container.isMade) return Promise.resolve({ processes: [] });
      const processes = container.container.processes().map((pid) => {
        const execId = added.get(pid);
        if (execId === undefined) return { pid };
        const info = { typeUrl: 'containerd.runc.v1.ProcessDetails', value: encode(PROCESS_DETAILS, { execId }) };
        return { pid, info };
      });
      return Promise.resolve({ processes });
    },
    Pause: async ({ id }) => {
      await this.#containers.get(id).pause();
      return {};
    },
    Resume: async ({ id }) => {
      await this.#containers.get(id).resume();
      return {};
    },
    Checkpoint: async ({ id, path, options }) => {
      await this.#containers
        .get(id)
        .checkpoint(readCheckpointOptions(path, options))
        .catch(failedWith('OCI runtime checkpoint failed'));
      return {};
    },
    ResizePty: ({ id, execId, width, height }) => {
      const size = { columns: width, rows: height };
      const container = this.#containers.get(id);
      if (execId === '') container.resize(size);
      else this.#exec(container, execId).resize(size);
      return Promise.resolve({});
    },
    CloseIO: ({ id, execId, stdin }) => {
      if (stdin) this.#find(id, execId).closeInput();
      return Promise.resolve({});
    },
    Update: async ({ id, resources }) => {
      await this.#containers.get(id).update(readJson(resources?.value) as Resources);
      return {};
    },
    Stats: ({ id }) => Promise.resolve({ stats: this.#containers.get(id).stats() }),
    Connect: ({ id }) => {
      const taskPid = this.#containers.find(id)?.pid ?? 0;
      return Promise.resolve({ shimPid: process.pid, taskPid });
    },
    Shutdown: async () => {
      await this.#containers.leave();
      return {};
    },
  };

  async #create(request: Request<'Create'>, caller: Caller): Promise<Response<'Create'>> {
    const { id, bundle, rootfs, options, checkpoint } = request;
    const task = { id, bundle, rootfs, options, checkpoint, places: placesOf(request) };
    const { pid } = await this.#containers.make(task, () => caller.isGone());
    return { pid };
  }

  #add(request: Request<'Exec'>): object {
    const { id, execId, spec } = request;
    const container = this.#containers.get(id);
    if (execId === '') throw new RpcError(CODE.invalidArgument, 'a process that is added needs an id');
    if (container.execs.has(execId))
      throw new RpcError(CODE.alreadyExists, `there is a process ${JSON.stringify(execId)}`);
    const section = readJson(spec?.value) as ProcessSection;
    const exec = new Exec(execId, placesOf(request), section, this.#setting);
    container.execs.set(execId, exec);
    this.#setting.publisher.publish('/tasks/exec-added', { containerId: id, execId });
    // The answer comes first.
    if (container.status === 'running')
      inTurn(() => {
        exec.prepare(container.container);
      });
    return {};
  }

  async #delete(id: string): Promise<Response<'Delete'>> {
    const { bundle, pid, exit } = await this.#containers.delete(id);
    const answer = { pid, ...exitOn(exit) };
    this.#setting.publisher.publish('/tasks/delete', { containerId: id, ...answer });
    this.#containers.told(bundle, encode(METHODS.Delete.response, answer));
    return answer;
  }

  async #deleteExec(id: string, execId: string): Promise<Response<'Delete'>> {
    const container = this.#containers.get(id);
    const exec = this.#exec(container, execId);
    if (exec.status === 'running')
      throw new RpcError(CODE.failedPrecondition, 'cannot delete a process that is running');
    await exec.close(DRAIN_MS);
    container.execs.delete(execId);
    return { pid: exec.pid, ...exitOn(exec.exit) };
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
    const container = this.#containers.get(id);
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
