import { rmSync } from 'node:fs';
import type { PlannerQuestion } from '../cli/operations.ts';
import { TsrunError } from '../errors.ts';
import { hasErrno } from '../sys/errno.ts';
import { pollReadable, waitReadable } from '../sys/events/poll.ts';
import { setNonBlocking, type OwnedFd } from '../sys/fd.ts';
import { acceptUnix, connectUnix, listenUnix, receiveMessage, sendMessage } from '../sys/socket.ts';
import type { Statistics } from './statistics.ts';

const NAME = 'control';
const LIMIT_BYTES = 64 * 1024;
/** A planner that is asked has nothing to do that takes longer. */
const PATIENCE_MS = 5_000;
const QUESTION_MS = 1_000;
const ASKERS_MAX = 16;

/** Where a planner is asked how it does, and told to stop: one message each way. */
export class Control implements Disposable {
  readonly #path: string;
  readonly #socket: OwnedFd;
  #askers = 0;
  readonly #parts: { readonly statistics: Statistics; readonly stop: () => void };

  /** Errors: `host`. */
  constructor(directory: string, parts: { readonly statistics: Statistics; readonly stop: () => void }) {
    this.#parts = parts;
    this.#path = `${directory}/${NAME}`;
    rmSync(this.#path, { force: true });
    this.#socket = listenUnix(this.#path, 'seqpacket', { mode: 0o600 });
    setNonBlocking(this.#socket.number);
  }

  /** Readable when somebody asks. */
  get number(): number {
    return this.#socket.number;
  }

  /** Answers those who have asked. */
  answer(): void {
    for (let asker = acceptUnix(this.number); asker !== undefined; asker = acceptUnix(this.number)) {
      if (this.#askers < ASKERS_MAX) void this.#answerOne(asker);
      else asker.close();
    }
  }

  /** Others are served while this one takes its time. */
  async #answerOne(asker: OwnedFd): Promise<void> {
    using connection = asker;
    this.#askers += 1;
    try {
      if (!(await waitReadable(connection.number, QUESTION_MS))) return;
      const { bytes, descriptors } = receiveMessage(connection.number, LIMIT_BYTES);
      for (const fd of descriptors) fd.close();
      const { statistics, stop } = this.#parts;
      if (bytes.toString() === ('stop' satisfies PlannerQuestion)) stop();
      sendMessage(connection.number, Buffer.from(JSON.stringify(statistics.report())));
    } catch (error) {
      // Who has asked does not wait any more, or has asked for something that is no question.
      if (!(error instanceof TsrunError)) throw error;
    } finally {
      this.#askers -= 1;
    }
  }

  [Symbol.dispose](): void {
    this.#socket.close();
    rmSync(this.#path, { force: true });
  }
}

/** Asks the planner that serves in a directory; the answer is its report as JSON. Errors: `host` when none does. */
export function askPlanner(directory: string, question: PlannerQuestion): string {
  try {
    using connection = connectUnix(`${directory}/${NAME}`, 'seqpacket');
    sendMessage(connection.number, Buffer.from(question));
    if (!pollReadable(connection.number, PATIENCE_MS)) throw TsrunError.of('host', 'ask the planner', 'ETIMEDOUT');
    return receiveMessage(connection.number, LIMIT_BYTES).bytes.toString();
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'ECONNREFUSED')) throw error;
    throw new TsrunError('host', `no planner serves ${JSON.stringify(directory)}; "tsrun planner" starts one`, {
      cause: error,
    });
  }
}
