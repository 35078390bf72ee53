import { TsrunError } from '../errors.ts';
import { hasErrno } from '../sys/errno.ts';
import { descriptorPath, setBlocking, type OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { reachUnix } from '../sys/events/unix-socket.ts';
import { O_NOFOLLOW } from '../sys/open-flags.ts';
import { sendMessage } from '../sys/socket.ts';
import { O_PATH } from '../util/constants.ts';
import { wording } from '../util/wording.ts';
import { DEATH_TIMEOUT_MS, killAndWait } from './kill-and-wait.ts';
import type { Partner } from './partner.ts';
import { waitReadable } from '../sys/events/poll.ts';

/** An init that waits for `start`: where, and what it wants to be shown, hexadecimal, by whom it cannot know otherwise. */
export interface WaitingInit {
  readonly socketPath: string;
  readonly token: string | undefined;
}

/** A connection to it, proven to be the creator's. Errors: `status` when it does not listen any more; `host`. */
export async function connectToInit({ socketPath, token }: WaitingInit): Promise<OwnedFd> {
  let connection: OwnedFd | undefined;
  try {
    using socket = openFile(socketPath, O_PATH | O_NOFOLLOW);
    connection = await reachUnix(descriptorPath(socket.number), 'seqpacket');
    // What follows is a conversation with init, which reads what it is sent.
    setBlocking(connection.number);
    if (token !== undefined) sendMessage(connection.number, Buffer.from(token, 'hex'));
    return connection;
  } catch (error) {
    connection?.close();
    if (hasErrno(error, 'ECONNREFUSED', 'ENOENT', 'EPIPE', 'ECONNRESET'))
      throw new TsrunError('status', wording.startStopped);
    throw error;
  }
}

/** The waiting init as a partner; the pidfd stays the caller's. Errors: those of `connectToInit`. */
export async function acceptedInit(
  waiting: WaitingInit,
  { pid, pidfd }: { pid: number; pidfd: OwnedFd },
): Promise<Partner> {
  return {
    pid,
    socket: await connectToInit(waiting),
    becomes: () => {
      throw new Error('bug: an init that has waited clones no other');
    },
    end: async () => {
      if (await killAndWait(pidfd, DEATH_TIMEOUT_MS)) return;
      throw new TsrunError('init', `process ${pid} does not die`);
    },
    howItEnded: async (timeoutMs) => {
      await waitReadable(pidfd.number, timeoutMs);
      return undefined;
    },
  };
}
