import { CallerLost } from '../container/caller/caller.ts';
import { TsrunError } from '../errors.ts';
import { launcherContext, type LauncherContext } from '../plan/launcher/context.ts';
import { planEnd, type EndOptions } from '../plan/launcher/end.ts';
import { planAttend, planLookForEnd, type AttendOptions, planWatch, WATCHED } from '../plan/launcher/foreground.ts';
import { planOutput, type Output } from '../plan/launcher/output.ts';
import { isOfNewProcess, planSpawn, type SpawnOptions } from '../plan/launcher/spawn.ts';
import { planTell, planTellMore, type TellOptions } from '../plan/launcher/start.ts';
import { Conversation, type Reply } from '../process/conversation.ts';
import type { Told } from '../process/told-init.ts';
import type { Arch } from '../program/calls.ts';
import type { Program } from '../program/step.ts';
import { hasErrno } from '../sys/errno.ts';
import { uninterrupted } from '../sys/events/interruption.ts';
import { sleep } from '../sys/events/poll.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { readEnded, type ExitStatus } from '../sys/process/wait.ts';
import { sendMessage } from '../sys/socket.ts';
import { errnoName } from '../util/errno.ts';
import { wording } from '../util/wording.ts';
import type { Will } from '../util/wills.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import { GoCold } from './reasons.ts';

/** Of output, so much at a time. */
const PART_BYTES = 32 * 1024;
/** A reader of a pipe that takes nothing for so long is taken for dead. */
const PATIENCE_MS = 30_000;
const PAUSE_MS = 2;
/** The tag in front of an answer's words. */
const TAG_BYTES = 8;
/** Descriptors have to come with something. */
const CARRIER_BYTES = 8;

/** A signal that a launcher has got, and whether its program has ended. */
export interface Happening {
  readonly signal: number | undefined;
  readonly hasEnded: boolean;
}

/** A launcher at the other end of a connection: what it is asked to do in the caller's own process. One thing at a time. */
export class Launcher {
  readonly #conversation: Conversation;
  readonly #socket: OwnedFd;
  readonly #context: LauncherContext;
  /** Pid of a child -> how it ended. It is a zombie until the launcher ends: whoever takes over learns it as well. */
  readonly #ended = new Map<number, ExitStatus>();
  #watch: Program | undefined;
  #hasEnded = false;

  /** `number` is that of the socket in the launcher. */
  constructor(socket: OwnedFd, { arch, number }: { readonly arch: Arch; readonly number: number }) {
    this.#socket = socket;
    this.#context = launcherContext(number);
    this.#conversation = new Conversation(socket, { arch, syncFd: number, will: { stage: 'anew' } });
  }

  /** It is heard. */
  acknowledge(acknowledgements: Acknowledgements): void {
    for (const packet of acknowledgements.packetsFor(this.#context)) sendMessage(this.#socket.number, packet);
  }

  /** What remains to be done without this process, from now on. */
  leaveWill(will: Will): void {
    this.#conversation.will = will;
    this.#conversation.dispatch({ name: 'will', steps: [], replies: false });
  }

  /**
   * Starts a process as its child; `descriptors` are of the executable, and one for each target. The answer is the pid. Errors: the failed
   * step.
   */
  async spawn(options: SpawnOptions, descriptors: readonly number[]): Promise<number> {
    const program = planSpawn(this.#context, options);
    try {
      return wordOf(await this.#runWith(program, descriptors), 0);
    } catch (error) {
      // A process that failed waits for its end, and its parent for that; the launcher itself goes on.
      const index = error instanceof TsrunError ? error.step?.index : undefined;
      if (index !== undefined && isOfNewProcess(program, index))
        this.#conversation.dispatch(planEnd(this.#context, { code: 1 }));
      throw error;
    }
  }

  /** Runs a program that receives descriptors. */
  async #runWith(program: Program, descriptors: readonly number[]): Promise<Reply> {
    const running = this.#conversation.run(program);
    try {
      sendMessage(this.#socket.number, Buffer.alloc(CARRIER_BYTES), descriptors);
    } catch (error) {
      await running.catch(() => undefined);
      throw error;
    }
    return await running;
  }

  /** Has it wait for signals in place of dying of them, and for the end of a program. Errors: `init` when it is gone. */
  async attend(options: AttendOptions): Promise<void> {
    const reply = await this.#conversation.run(planAttend(this.#context, options));
    this.#watch = planWatch(this.#context, { signals: wordOf(reply, 0), program: wordOf(reply, 1) });
  }

  /** Waits for a signal, or the end of the program. Errors: `CallerLost`. */
  async happening(): Promise<Happening> {
    if (this.#watch === undefined) throw new Error('bug: nothing is watched');
    const reply = await this.#conversation.watch(this.#watch).catch((cause: unknown) => {
      throw isGone(cause) ? new CallerLost('the caller has ended', { cause }) : cause;
    });
    // Places in an answer count its tag.
    const at = (place: number): number => place - TAG_BYTES;
    const signal = reply.body.readUInt32LE(at(WATCHED.signal));
    return { signal: signal === 0 ? undefined : signal, hasEnded: reply.body.readUInt16LE(at(WATCHED.program)) !== 0 };
  }

  /** How a child has ended, undefined while it lives. It is reaped at the end. Errors: `host` (ECHILD). */
  async reap(pid: number): Promise<ExitStatus | undefined> {
    if (!this.#ended.has(pid) && (await this.#lookForEnd({ pid })) === 'no child')
      throw TsrunError.of('host', `wait for process ${pid}`, 'ECHILD');
    return this.#ended.get(pid);
  }

  /** Reaps whatever has ended, but `program`. */
  async reapAll(program: number): Promise<void> {
    let reap: readonly number[] = [];
    for (;;) {
      const found = await this.#lookForEnd({ pid: 'any', reap });
      if (typeof found !== 'number' || found === program) return;
      this.#ended.delete(found);
      reap = [found];
    }
  }

  async #lookForEnd({
    pid,
    reap = [],
  }: {
    readonly pid: number | 'any';
    readonly reap?: readonly number[];
  }): Promise<number | 'no child' | undefined> {
    const { body } = await this.#conversation.run(planLookForEnd(this.#context, { pid, reap }));
    if (body.readBigInt64LE(0) < 0n) return 'no child';
    const ended = readEnded(body.subarray(8));
    if (ended !== undefined) this.#ended.set(ended.pid, ended.status);
    return ended?.pid;
  }

  /**
   * Has it make an init its program, by the state directory whose descriptor is given. One that has nothing left to do ends with that.
   * Errors: `status` where init does not wait, `GoCold` for what else keeps it from being told, `CallerLost`.
   */
  async tell(options: TellOptions, directory: number): Promise<Told> {
    try {
      // The answer is there before the end that nobody has to hear of.
      const { body } = await uninterrupted(() => this.#runWith(planTell(this.#context, options), [directory]));
      const result = Number(body.readBigInt64LE(0));
      this.#hasEnded = options.isLast && result === 0;
      return { result, report: body.subarray(8), tellMore: this.#tellMore.bind(this) };
    } catch (cause) {
      // What has become of init is not known here, and is as it would be without a planner.
      if (isGone(cause) && !isStep(cause)) throw new CallerLost('the caller has ended', { cause });
      if (hasErrno(cause, 'ECONNREFUSED', 'ENOENT', 'EPIPE', 'ECONNRESET'))
        throw new TsrunError('status', wording.startStopped, { cause });
      if (isStep(cause)) throw new GoCold('descriptors', { cause });
      throw cause;
    }
  }

  async #tellMore(packet: Uint8Array): Promise<Told> {
    try {
      const { body } = await uninterrupted(() => this.#conversation.run(planTellMore(this.#context, packet)));
      const result = Number(body.readBigInt64LE(0));
      return { result, report: body.subarray(8), tellMore: this.#tellMore.bind(this) };
    } catch (cause) {
      throw isGone(cause) && !isStep(cause) ? new CallerLost('the caller has ended', { cause }) : cause;
    }
  }

  /** It has ended by itself, with success. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Writes all of it, as the caller would: one that has gone away ends that. Errors: `host`; `init` when the launcher is gone. */
  async write(output: Output): Promise<void> {
    for (let { bytes } = output, waitedMs = 0; bytes.length > 0;) {
      const part = bytes.subarray(0, PART_BYTES);
      const { body } = await this.#conversation.run(planOutput(this.#context, { ...output, bytes: part }));
      const result = Number(body.readBigInt64LE(0));
      if (result > 0) {
        bytes = bytes.subarray(result);
        waitedMs = 0;
        continue;
      }
      const errno = errnoName(-result);
      // What cannot be said on standard error is said nowhere.
      if (errno === 'EPIPE' || (output.fd === 2 && errno !== 'EAGAIN')) return;
      if (errno !== 'EAGAIN' || waitedMs > PATIENCE_MS)
        throw TsrunError.of('host', `write to descriptor ${output.fd}`, errno);
      // The descriptor is shared with other processes, any of which may have made it non-blocking.
      await sleep(PAUSE_MS);
      waitedMs += PAUSE_MS;
    }
  }

  /**
   * Writes what there is to be written, reaps what has ended, and ends the launcher; one that is gone is fine. Errors: `host` for what
   * cannot be written; it has not ended then.
   */
  async end(options: EndOptions & { readonly output: readonly Output[] }): Promise<void> {
    const { output, code } = options;
    try {
      const size = output.reduce((sum, { bytes }) => sum + bytes.length, 0);
      const last = size > PART_BYTES ? [] : output;
      if (last.length === 0) for (const part of output) await this.write(part);
      const children = [...new Set([...(options.children ?? []), ...this.#ended.keys()])];
      const { body } = await this.#conversation.run(planEnd(this.#context, { output: last, code, children }));
      const [part, ...others] = unwritten(last, Number(body.readBigUInt64LE(0)), Number(body.readBigInt64LE(8)));
      if (part !== undefined) await this.write(part);
      await this.end({ ...options, output: others });
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  close(): void {
    this.#conversation.close();
  }
}

/** What is left when a part was written in part, or not at all: it is written bit by bit. */
function unwritten(output: readonly Output[], index: number, result: number): Output[] {
  const [part, ...others] = output.slice(index);
  if (part === undefined) return [];
  return [{ fd: part.fd, bytes: part.bytes.subarray(Math.max(0, result)) }, ...others];
}

function wordOf({ body }: Reply, index: number): number {
  return Number(body.readBigUInt64LE(index * 8));
}

function isStep(error: unknown): boolean {
  return error instanceof TsrunError && error.code === 'step';
}

/** The launcher has ended. */
export function isGone(error: unknown): boolean {
  return hasErrno(error, 'EPIPE', 'ECONNRESET');
}
