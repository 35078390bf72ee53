import { readSync, writeSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { hasErrno } from '../../sys/errno.ts';
import { readDescriptorInfo } from '../../sys/descriptor-info.ts';
import { uninterrupted } from '../../sys/events/interruption.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { pidfdSendSignal } from '../../sys/process/pidfd.ts';
import { POLLOUT, pollReadable, waitAny, waitReadable, type Interest } from '../../sys/events/poll.ts';
import { POLLIN } from '../../util/constants.ts';
import type { HookOutput } from './output.ts';
import { SIGNALS } from '../../util/signals.ts';

/** tsrun's ends of the pipes to a hook in a container, and its pidfd. */
export interface HookPipes {
  readonly stdin: OwnedFd;
  readonly stdout: OwnedFd;
  readonly stderr: OwnedFd;
  /** End of file says that the hook is executed, anything else is the failure report. */
  readonly report: OwnedFd;
  readonly pidfd: OwnedFd;
}

/** What a hook reads on its standard input, who takes what it prints, and how long it may run. */
export interface HookTalk {
  readonly input: Buffer;
  readonly output: HookOutput;
  /** 0 waits for ever. */
  readonly timeoutMs: number;
}

/** How the talk with a hook came to its end; its exit status is known only once init has reaped it. */
export interface HookEnd {
  readonly timedOut: boolean;
  /** The failure report of a hook that could not be executed; empty otherwise. */
  readonly report: Buffer;
}

const KILL_TIMEOUT_MS = 10_000;
const CHUNK_BYTES = 64 * 1024;
/** PIPE_BUF: so much can be written to a pipe that is ready without waiting. Source: man 7 pipe. */
const WRITE_BYTES = 4096;
/** The largest failure report of init. */
const REPORT_BYTES = 24;
/** A pipe holds at most 1 MiB (fs.pipe-max-size): what a hook has printed is behind us after as much. */
const DRAIN_BYTES = 1024 * 1024;

/**
 * Feeds a hook, takes what it prints, and waits for its end; after `timeoutMs` it is killed.
 *
 * It has ended when the process itself has, whoever else keeps its pipes open: what it printed is in the pipes by then.
 * Errors: `hook` when a killed hook does not die.
 */
export async function talkWithHook(pipes: HookPipes, { input, output, timeoutMs }: HookTalk): Promise<HookEnd> {
  const deadline = timeoutMs > 0 ? performance.now() + timeoutMs : undefined;
  const report: Buffer[] = [];
  const feeder = new Feeder(pipes.stdin, input);
  const takers = makeTakers(pipes, output, report);
  let timedOut = false;
  while (!pollReadable(pipes.pidfd.number, 0)) {
    const left = deadline === undefined ? -1 : Math.ceil(deadline - performance.now());
    if (deadline !== undefined && left <= 0) {
      timedOut = true;
      await killGroup(pipes.pidfd);
      break;
    }
    const ready = await waitAny(interestsOf(pipes, feeder, takers), left).catch(async (error: unknown) => {
      // Nobody wants the container any more.
      await uninterrupted(() => killGroup(pipes.pidfd));
      throw error;
    });
    if (feeder.isOpen && ready.includes(pipes.stdin.number)) feeder.feed();
    for (const taker of takers) if (taker.isOpen && ready.includes(taker.number)) taker.takeOnce();
  }
  feeder.close();
  for (const taker of takers) taker.drain();
  return { timedOut, report: Buffer.concat(report) };
}

function makeTakers(pipes: HookPipes, output: HookOutput, report: Buffer[]): Taker[] {
  return [
    new Taker(pipes.stdout, (bytes) => {
      output.take('stdout', bytes);
    }),
    new Taker(pipes.stderr, (bytes) => {
      output.take('stderr', bytes);
    }),
    new Taker(pipes.report, (bytes) => {
      if (report.length === 0) report.push(Buffer.from(bytes.subarray(0, REPORT_BYTES)));
    }),
  ];
}

function interestsOf(pipes: HookPipes, feeder: Feeder, takers: readonly Taker[]): Interest[] {
  return [
    { fd: pipes.pidfd.number, events: POLLIN },
    ...(feeder.isOpen ? [{ fd: pipes.stdin.number, events: POLLOUT }] : []),
    ...takers.filter(({ isOpen }) => isOpen).map(({ number }) => ({ fd: number, events: POLLIN })),
  ];
}

/** Writes the input bit by bit, as the pipe takes it. */
class Feeder {
  readonly #fd: OwnedFd;
  #rest: Buffer;

  constructor(fd: OwnedFd, input: Buffer) {
    this.#fd = fd;
    this.#rest = input;
  }

  get isOpen(): boolean {
    return this.#fd.isOpen;
  }

  feed(): void {
    try {
      const written = writeSync(this.#fd.number, this.#rest.subarray(0, WRITE_BYTES));
      this.#rest = this.#rest.subarray(written);
    } catch (error) {
      // A hook need not read its input.
      if (!hasErrno(error, 'EPIPE')) throw error;
      this.#rest = Buffer.alloc(0);
    }
    if (this.#rest.length === 0) this.close();
  }

  close(): void {
    this.#fd.close();
  }
}

/** Reads one of the pipes until its end. */
class Taker {
  readonly #fd: OwnedFd;
  readonly #take: (bytes: Buffer) => void;

  constructor(fd: OwnedFd, take: (bytes: Buffer) => void) {
    this.#fd = fd;
    this.#take = take;
  }

  get isOpen(): boolean {
    return this.#fd.isOpen;
  }

  get number(): number {
    return this.#fd.number;
  }

  /** How many bytes there were. */
  takeOnce(): number {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    const count = readSync(this.#fd.number, buffer, 0, buffer.length, null);
    if (count === 0) this.#fd.close();
    else this.#take(buffer.subarray(0, count));
    return count;
  }

  /** What is there now; others may still write. */
  drain(): void {
    for (let taken = 0; this.isOpen && taken < DRAIN_BYTES && pollReadable(this.number, 0);) taken += this.takeOnce();
    this.#fd.close();
  }
}

/** Kills a hook and its process group. Its pid is its own until init reaps it. */
async function killGroup(pidfd: OwnedFd): Promise<void> {
  const pid = readDescriptorInfo(pidfd.number, 'Pid');
  try {
    // No pid in a /proc of another pid namespace; then the process alone has to do.
    if (pid > 1) process.kill(-pid, SIGNALS.KILL);
  } catch (error) {
    if (!hasErrno(error, 'ESRCH', 'EPERM')) throw error;
  }
  try {
    pidfdSendSignal(pidfd.number, SIGNALS.KILL);
  } catch (error) {
    if (!hasErrno(error, 'ESRCH')) throw error;
  }
  if (!(await waitReadable(pidfd.number, KILL_TIMEOUT_MS))) throw new TsrunError('hook', 'a killed hook does not die');
}
