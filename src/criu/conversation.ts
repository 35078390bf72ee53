import { TsrunError } from '../errors.ts';
import type { Partner } from '../process/partner.ts';
import { decode, encode, WireError } from '../protobuf/codec.ts';
import { hasErrno } from '../sys/errno.ts';
import { waitReadable } from '../sys/events/poll.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { receiveMessage, sendMessage } from '../sys/socket.ts';
import { KINDS, REQUEST, RESPONSE, type CriuAnswer, type CriuOpts } from './messages.ts';

/** Answers have some hundred bytes; a message of the error in one at most some thousand. */
const ANSWER_BYTES_MAX = 64 * 1024;

/** What CRIU tells while it works, and waits for until it is taken note of. */
export interface Notification {
  /** Such as `post-dump`: man 8 criu, `--action-script`. */
  readonly script: string;
  /** Of the process that it is about; 0 where it is about none. */
  readonly pid: number;
  /** Comes with `orphan-pts-master`; closed afterwards. */
  readonly descriptor: OwnedFd | undefined;
}

/** What is asked for, beside its kind. */
export interface Asked {
  readonly opts?: CriuOpts;
  readonly features?: { readonly memTrack: boolean; readonly lazyPages: boolean };
  /** CRIU waits for a further request. */
  readonly keepOpen?: boolean;
  readonly onNotification?: (notification: Notification) => Promise<void>;
}

/**
 * Asks CRIU for one thing, and waits for its answer. Whoever takes note of a notification has it fail by throwing.
 *
 * Errors: `init` when CRIU ends or says what makes no sense; what `onNotification` throws.
 */
export async function askCriu(
  { socket }: Partner,
  kind: Exclude<keyof typeof KINDS, 'notify'>,
  { onNotification, ...asked }: Asked,
): Promise<CriuAnswer> {
  send(socket, { type: KINDS[kind], ...asked });
  let failure: { readonly cause: unknown } | undefined;
  for (;;) {
    await waitReadable(socket.number);
    const { answer, descriptors } = receive(socket);
    using first = descriptors[0];
    for (const other of descriptors.slice(1)) other.close();
    if (answer.type !== KINDS.notify) {
      // What CRIU says of it is that somebody did not like it.
      if (failure !== undefined) throw failure.cause;
      if (answer.success && answer.type !== KINDS[kind])
        throw new TsrunError('init', `ask CRIU to ${kind}: it answers something else (${answer.type})`);
      return answer;
    }
    try {
      const { script = '', pid = 0 } = answer.notify ?? {};
      if (failure === undefined) await onNotification?.({ script, pid, descriptor: first });
    } catch (cause) {
      failure = { cause };
    }
    send(socket, { type: KINDS.notify, notifySuccess: failure === undefined });
  }
}

function send(socket: OwnedFd, request: Parameters<typeof encode<typeof REQUEST>>[1]): void {
  try {
    sendMessage(socket.number, encode(REQUEST, request));
  } catch (error) {
    if (!hasErrno(error, 'EPIPE', 'ECONNRESET')) throw error;
    throw gone();
  }
}

function receive(socket: OwnedFd): { readonly answer: CriuAnswer; readonly descriptors: readonly OwnedFd[] } {
  const { bytes, descriptors } = receiveOrGone(socket);
  try {
    if (bytes.length === 0) throw gone();
    return { answer: decode(RESPONSE, bytes), descriptors };
  } catch (error) {
    for (const descriptor of descriptors) descriptor.close();
    if (error instanceof WireError)
      throw new TsrunError('init', `read an answer of CRIU: ${error.message}`, { cause: error });
    throw error;
  }
}

function receiveOrGone(socket: OwnedFd): ReturnType<typeof receiveMessage> {
  try {
    return receiveMessage(socket.number, ANSWER_BYTES_MAX);
  } catch (error) {
    if (hasErrno(error, 'ECONNRESET')) throw gone();
    throw error;
  }
}

function gone(): TsrunError {
  return new TsrunError('init', 'CRIU has ended without an answer');
}
