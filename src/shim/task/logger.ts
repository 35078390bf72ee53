import { hasErrno } from '../../sys/errno.ts';
import { sleep, waitReadable } from '../../sys/events/poll.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { pipe } from '../../sys/pipe.ts';
import { pidfdOpen, pidfdSendSignal } from '../../sys/process/pidfd.ts';
import { spawn } from '../../sys/process/spawn.ts';
import { reapByPidfd } from '../../sys/process/wait.ts';
import { O_RDWR } from '../../util/constants.ts';
import { SIGNALS } from '../../util/signals.ts';
import type { Reaper } from './reaper.ts';

/** Whose output a logger gets. */
export interface LoggerOwner {
  readonly id: string;
  readonly namespace: string;
  readonly reaper: Reaper;
}

/** As containerd's own shim has them. */
const READY_TIMEOUT_MS = 10_000;
const END_TIMEOUT_MS = 12_000;

/**
 * A program that takes what a process writes: its descriptors 3 and 4 are standard output and error of the process, and it closes 5 or
 * writes to it when it is ready. Source: containerd, docs/runtime-v2.md, "Logging".
 */
export class BinaryLogger {
  readonly stdout: OwnedFd;
  readonly stderr: OwnedFd;
  readonly #pidfd: OwnedFd;
  readonly #ended: Promise<void>;

  private constructor(writers: { readonly stdout: OwnedFd; readonly stderr: OwnedFd }, pid: number, reaper: Reaper) {
    ({ stdout: this.stdout, stderr: this.stderr } = writers);
    this.#pidfd = pidfdOpen(pid);
    this.#ended = this.#wait();
    reaper.claim(pid, this.#ended);
  }

  /** Starts the program of a `binary:` address and waits until it is ready. Errors: `host`. */
  static async start(address: URL, { id, namespace, reaper }: LoggerOwner): Promise<BinaryLogger> {
    const [outReader, outWriter] = pipe();
    const [errorReader, errorWriter] = pipe();
    const [readyReader, readyWriter] = pipe();
    using _ends = closing(outReader, errorReader, readyReader, readyWriter);
    try {
      using nothing = openFile('/dev/null', O_RDWR);
      const path = decodeURIComponent(address.pathname);
      const standard = [0, 1, 2].map((number) => [number, nothing.number] as const);
      const pid = spawn({
        path,
        name: path,
        args: [...new Set(address.searchParams.keys())].flatMap((key) => [key, address.searchParams.get(key) ?? '']),
        environment: [`CONTAINER_ID=${id}`, `CONTAINER_NAMESPACE=${namespace}`],
        descriptors: new Map([...standard, [3, outReader.number], [4, errorReader.number], [5, readyWriter.number]]),
      });
      const logger = new BinaryLogger({ stdout: outWriter, stderr: errorWriter }, pid, reaper);
      readyWriter.close();
      await waitReadable(readyReader.number, READY_TIMEOUT_MS);
      return logger;
    } catch (error) {
      outWriter.close();
      errorWriter.close();
      throw error;
    }
  }

  /** It is told to end, and has some seconds for that. */
  close(): void {
    void this.#end();
  }

  async #end(): Promise<void> {
    this.#kill(SIGNALS.TERM);
    await Promise.race([this.#ended, sleep(END_TIMEOUT_MS)]);
    this.#kill(SIGNALS.KILL);
  }

  /** Nothing happens when it has ended. */
  #kill(signal: number): void {
    if (!this.#pidfd.isOpen) return;
    try {
      pidfdSendSignal(this.#pidfd.number, signal);
    } catch (error) {
      if (!hasErrno(error, 'ESRCH')) throw error;
    }
  }

  async #wait(): Promise<void> {
    await waitReadable(this.#pidfd.number);
    reapByPidfd(this.#pidfd.number);
    this.#pidfd.close();
  }
}

function closing(...fds: readonly OwnedFd[]): Disposable {
  return {
    [Symbol.dispose]: () => {
      for (const fd of fds) fd.close();
    },
  };
}
