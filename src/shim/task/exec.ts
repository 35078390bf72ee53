import type { Container } from '../../library/container.ts';
import type { Process } from '../../library/process.ts';
import type { ProcessEnd } from '../../library/process-end.ts';
import type { Process as ProcessSection } from '../../spec/generated/config.ts';
import { callAfter } from '../../sys/events/poll.ts';
import { exitOf, UNKNOWN_STATUS, type Exit } from './exit.ts';
import { ProcessIo, type StdioPlaces } from './io.ts';
import { Preparation } from './preparation.ts';
import { CODE, RpcError } from '../wire/rpc.ts';
import { timestampOf } from '../wire/common.ts';
import type { Setting } from './setting.ts';

/** For how long what was prepared waits to be started; clients take some milliseconds. */
const PATIENCE_MS = 10_000;

/** A process that runs. */
interface Launched {
  readonly process: Process;
  readonly ended: Promise<ProcessEnd>;
}

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
  #preparation: Preparation<Launched> | undefined;
  #patience: Disposable | undefined;

  constructor(id: string, places: StdioPlaces, spec: ProcessSection, setting: Setting) {
    this.id = id;
    this.places = places;
    this.#spec = { ...spec, terminal: places.terminal };
    this.#setting = setting;
    this.exited = new Promise((resolve) => (this.#settle = resolve));
  }

  /**
   * Begins what `start` is to do, as far as nothing of it is in the container: containerd takes a moment from adding a process to starting it.
   * What fails is tried again then, and what is not started soon is taken back: its client may be gone.
   */
  prepare(container: Container, { patienceMs = PATIENCE_MS }: { readonly patienceMs?: number } = {}): void {
    if (this.#starting !== undefined || this.exit !== undefined) return;
    // A logger is a program of somebody else's: it is started with the process.
    if (this.places.stdout.startsWith('binary:')) return;
    const preparation = new Preparation((hold) => this.#launch(container, hold));
    this.#preparation = preparation;
    this.#patience = callAfter(patienceMs, () => {
      this.#preparation = undefined;
      void preparation.giveUp();
    });
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
    if (this.#starting === undefined) {
      this.#end({ status: UNKNOWN_STATUS, atMs: Date.now() });
      this.#patience?.[Symbol.dispose]();
      await this.#preparation?.giveUp();
    }
    await this.#io?.drain(drainMs);
    this.#io?.close();
  }

  async #start(container: Container): Promise<void> {
    const { publisher } = this.#setting;
    const containerId = container.id;
    try {
      const { process, ended } = await this.#launchPrepared(container);
      this.#process = process;
      this.pid = process.pid;
      this.status = 'running';
      publisher.publish('/tasks/exec-started', { containerId, execId: this.id, pid: this.pid });
      void ended.then((end) => {
        const exit = exitOf(end);
        publisher.publish('/tasks/exit', this.#exitEvent(containerId, exit));
        this.#end(exit);
      });
    } catch (error) {
      this.#end({ status: UNKNOWN_STATUS, atMs: Date.now() });
      throw error;
    }
  }

  /** What was prepared, or was not: then that is to be told as things are now. */
  async #launchPrepared(container: Container): Promise<Launched> {
    this.#patience?.[Symbol.dispose]();
    this.#preparation?.go();
    const launched = await this.#preparation?.result;
    return launched ?? (await this.#launch(container));
  }

  async #launch(container: Container, hold?: () => Promise<void>): Promise<Launched> {
    const { reaper, namespace } = this.#setting;
    const io = await ProcessIo.open(this.places, { id: container.id, namespace, reaper });
    this.#io = io;
    if (this.#isInputClosed) io.closeInput();
    try {
      const launched = await reaper.during(async (pause) => {
        const options = { process: this.#spec, stdio: io.stdio };
        const process = await container.exec(options, hold && ((pid) => pause(pid, hold())));
        const ended = process.wait();
        reaper.claim(process.pid, ended);
        return { process, ended };
      });
      io.connect(launched.process);
      return launched;
    } catch (error) {
      io.close();
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
