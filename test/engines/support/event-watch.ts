import { waitFor } from '../../live/support/wait.ts';
import type { RunningCommand } from '../../live/support/command.ts';
import type { Containerd } from './containerd.ts';

const PATIENCE_MS = 30_000;
const LIFE_MS = 1_200_000;

/** An event of a task, as far as tests ask for it. */
export interface TaskEvent {
  /** Such as `/tasks/exit`. */
  readonly topic: string;
  readonly containerId: string;
  /** Of the process: the container's for its first one. */
  readonly id: string;
  readonly status: number | undefined;
}

/** The events that containerd sends from a moment on. */
export class EventWatch {
  readonly #containerd: Containerd;
  readonly #pidFile: string;
  readonly #command: RunningCommand;

  private constructor(containerd: Containerd) {
    const { inside } = containerd;
    this.#containerd = containerd;
    this.#pidFile = inside.fresh('events.pid');
    const argv = ['sh', '-c', 'echo $$ >"$0"; exec "$@"', this.#pidFile, ...containerd.argv(['events'])];
    this.#command = inside.start(argv, { timeoutMs: LIFE_MS });
  }

  /** Whoever watches sees nothing of what was before: it watches when something that is done on purpose is seen. */
  static async start(containerd: Containerd): Promise<EventWatch> {
    const watch = new EventWatch(containerd);
    const label = (): Promise<unknown> => containerd.ctr(['namespaces', 'label', 'default', 'watched=yes']);
    await waitFor(async () => {
      await label();
      return watch.#command.output().includes('/namespaces/update');
    }, PATIENCE_MS);
    return watch;
  }

  /** In the order in which they came. */
  events(): TaskEvent[] {
    return this.#command
      .output()
      .split('\n')
      .flatMap((line) => {
        const [, topic, json] = /(\/tasks\/\S+) (\{.*)$/.exec(line) ?? [];
        if (topic === undefined || json === undefined) return [];
        const { container_id = '', id, exit_status } = JSON.parse(json) as Record<string, string | number>;
        const containerId = String(container_id);
        return [{ topic, containerId, id: String(id ?? container_id), status: exit_status as number | undefined }];
      });
  }

  /** The exit events of the first process of a container. */
  exits(containerId: string): TaskEvent[] {
    return this.events().filter(
      (event) => event.topic === '/tasks/exit' && event.containerId === containerId && event.id === containerId,
    );
  }

  /** Waits until every container that was started has ended; the ids of those that have not after a while. */
  async untilAllEnded(): Promise<readonly string[]> {
    const open = (): string[] =>
      this.events()
        .filter(({ topic, containerId }) => topic === '/tasks/start' && this.exits(containerId).length === 0)
        .map(({ containerId }) => containerId);
    await waitFor(() => open().length === 0, PATIENCE_MS).catch(() => undefined);
    return open();
  }

  async stop(): Promise<void> {
    await this.#containerd.inside.run(['sh', '-c', 'kill "$(cat "$0")"', this.#pidFile]);
    await this.#command.done;
  }
}
