import type { Container } from '../../library/container.ts';
import type { Process } from '../../library/process.ts';
import type { Process as ProcessSection } from '../../spec/generated/config.ts';
import { exitOf, UNKNOWN_STATUS, type Exit } from './exit.ts';
import { ProcessIo, type StdioPlaces } from './io.ts';
import { CODE, RpcError } from '../wire/rpc.ts';
import { timestampOf } from '../wire/common.ts';
import type { Setting } from './setting.ts';

/** A process that was added to a container. */
export class Exec {
  readonly id: string;
  readonly places: StdioPlaces;
  /** Resolves with its end, when that has been published. */
  readonly exited: Promise<Exit>;
  status: 'created' | 'running' | 'stopped' = 'created';
  pid = 0;
  exit: Exit | undefined;
  readonly #spec: ProcessSection;
  readonly #setting: Setting;
  #settle: (exit: Exit) => void = () => undefined;
  #starting: Promise<void> | undefined;
  #io: ProcessIo | undefined;
  #process: Process | undefined;
  #isInputClosed = false;

  constructor(id: string, places: StdioPlaces, spec: ProcessSection, setting: Setting) {
    this.id = id;
    this.places = places;
    this.#spec = { ...spec, terminal: places.terminal };
    this.#setting = setting;
    this.exited = new Promise((resolve) => (this.#settle = resolve));
  }

  /** Runs it; once. Errors: those of the library; `RpcError` FAILED_PRECONDITION. */
  async start(container: Container): Promise<void> {
    if (this.#starting !== undefined) throw new RpcError(CODE.failedPrecondition, 'the process was started before');
    this.#starting = this.#start(container);
    await this.#starting;
  }

  /** Whether it has ended or, where it is being started, will have: nobody waits for one that nobody has started. */
  async settled(): Promise<void> {
    if (this.#starting !== undefined) await this.exited;
  }

  /** False when it has ended, or was never started. Errors: `host`. */
  kill(signal: number): boolean {
    return this.#process?.kill(signal) ?? false;
  }

  closeInput(): void {
    this.#isInputClosed = true;
    this.#io?.closeInput();
  }

  resize(size: { readonly columns: number; readonly rows: number }): void {
    this.#process?.resize(size);
  }

  /** Lets go of its connections when all it wrote has gone on, or after a while; one that never ran has ended then. */
  async close(drainMs: number): Promise<void> {
    if (this.#starting === undefined) this.#end({ status: UNKNOWN_STATUS, atMs: Date.now() });
    await this.#io?.drain(drainMs);
    this.#io?.close();
  }

  async #start(container: Container): Promise<void> {
    const { publisher, reaper, namespace } = this.#setting;
    const containerId = container.id;
    try {
      const io = await ProcessIo.open(this.places, { id: containerId, namespace, reaper });
      this.#io = io;
      if (this.#isInputClosed) io.closeInput();
      const [process, ended] = await reaper.during(async () => {
        const started = await container.exec({ process: this.#spec, stdio: io.stdio });
        const end = started.wait();
        reaper.claim(started.pid, end);
        return [started, end] as const;
      });
      this.#process = process;
      io.connect(process);
      this.pid = process.pid;
      this.status = 'running';
      publisher.publish('/tasks/exec-started', { containerId, execId: this.id, pid: this.pid });
      void ended.then((end) => {
        const exit = exitOf(end);
        publisher.publish('/tasks/exit', this.#exitEvent(containerId, exit));
        this.#end(exit);
      });
    } catch (error) {
      this.#io?.close();
      this.#end({ status: UNKNOWN_STATUS, atMs: Date.now() });
      throw error;
    }
  }

  #exitEvent(containerId: string, { status, atMs }: Exit) {
    return { containerId, id: this.id, pid: this.pid, exitStatus: status, exitedAt: timestampOf(atMs) };
  }

  #end(exit: Exit): void {
    if (this.exit !== undefined) return;
    this.exit = exit;
    this.status = 'stopped';
    this.#settle(exit);
  }
}
