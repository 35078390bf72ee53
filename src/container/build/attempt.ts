import { rmSync } from 'node:fs';
import type { Log } from '../../log.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import type { Caller } from '../caller/caller.ts';
import { writePidFile } from '../caller/pid-file.ts';
import type { StateDirectory } from '../store/directory.ts';
import type { ContainerRecord } from '../store/record.ts';
import { Cleanup } from './cleanup.ts';

/**
 * The making of a container: its state directory, its lock, its record, and what has to be undone when it fails half-way.
 *
 *     begin --> remember, undoWith ... --> finish     the container is there
 *                       |
 *                       +----------------> undo       nothing of it is
 *
 * If tsrun itself is killed, `delete` finds the rest through the state directory: what is made is remembered before it is made.
 */
export class Attempt {
  readonly directory: StateDirectory;
  readonly #cleanup: Cleanup;
  #lock: OwnedFd | undefined;
  #record: ContainerRecord | undefined;
  #written = '';
  #hasEnvironment = false;

  private constructor(directory: StateDirectory, log: Log) {
    this.directory = directory;
    this.#cleanup = new Cleanup(log);
  }

  /**
   * Takes the id and the lock. `poststop` runs when all the rest is undone, if the container's environment existed. Errors: `exists`,
   * `state`.
   */
  static async begin(
    directory: StateDirectory,
    { log, poststop }: { readonly log: Log; readonly poststop: () => Promise<void> },
  ): Promise<Attempt> {
    directory.make();
    const attempt = new Attempt(directory, log);
    // The first to be added is the last to be done.
    attempt.undoWith('run the poststop hooks', async () => {
      if (attempt.#hasEnvironment) await poststop();
    });
    attempt.undoWith('remove the state directory', () => {
      directory.remove();
    });
    attempt.undoWith('release the lock', () => {
      attempt.finish();
    });
    try {
      attempt.#lock = await directory.lock();
      return attempt;
    } catch (error) {
      await attempt.undo();
      throw error;
    }
  }

  /** What is known of the container. */
  get record(): ContainerRecord {
    if (this.#record === undefined) throw new Error('bug: a container of which nothing is remembered yet');
    return this.#record;
  }

  /** Keeps the record of a container that is going to be made. Errors: `state`. */
  rememberFirst(record: ContainerRecord): void {
    this.#record = record;
    this.#write();
  }

  /** Changes the record, and keeps it where that makes a difference. Errors: `state`. */
  remember(changes: Partial<ContainerRecord>): void {
    this.#record = { ...this.record, ...changes };
    this.#write();
  }

  /** Changes the record, which is kept with the next change that cannot wait: nothing has to be found by it. */
  learn(changes: Partial<ContainerRecord>): void {
    this.#record = { ...this.record, ...changes };
  }

  /** Takes something of the record back that is there no more. Errors: `state`. */
  forget(name: 'rootfsCover'): void {
    const { [name]: _gone, ...rest } = this.record;
    this.#record = rest;
    this.#write();
  }

  /** What has to be undone on failure, before all that was added earlier. */
  undoWith(what: string, undo: () => void | Promise<void>): void {
    this.#cleanup.add(what, undo);
  }

  /** runtime.md, "Lifecycle": once the container's environment exists, its end is followed by the poststop hooks. */
  environmentExists(): void {
    this.#hasEnvironment = true;
  }

  /** Writes the pid file; a failure after it takes it away again. Errors: `host`. */
  announce(pid: number, pidFile: string | undefined, caller: Caller): void {
    if (pidFile === undefined) return;
    writePidFile(pidFile, pid, caller);
    this.undoWith('remove the pid file', () => {
      rmSync(pidFile, { force: true });
    });
  }

  /** Others may change the container from now on. */
  finish(): void {
    this.#lock?.close();
  }

  /** Undoes everything, the last first; what fails of it is logged. */
  async undo(): Promise<void> {
    await this.#cleanup.run();
  }

  #write(): void {
    const text = JSON.stringify(this.record);
    if (text === this.#written) return;
    this.directory.writeRecord(this.record);
    this.#written = text;
  }
}
