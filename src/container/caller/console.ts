import { TsrunError } from '../../errors.ts';
import type { Process } from '../../spec/generated/config.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { deliver, reachUnix } from '../../sys/events/unix-socket.ts';
import { wording } from '../../util/wording.ts';
import type { Foreground } from './foreground.ts';
import { remedies } from '../../util/remedies.ts';

/**
 * A terminal needs somebody who holds its master: the one at the console socket, whoever takes it in this process, or tsrun itself while
 * it waits in the foreground. Errors: `usage`, in the words that callers know from runc.
 */
export function requireConsole(options: {
  readonly terminal: boolean;
  readonly detached: boolean;
  readonly consoleSocket: string | undefined;
  /** Somebody in this process takes it. */
  readonly isTaken?: boolean;
}): void {
  const { terminal, detached, consoleSocket, isTaken = false } = options;
  if (terminal && detached && consoleSocket === undefined && !isTaken) {
    throw new TsrunError('usage', wording.ttyWithoutSocket('tsrun'), { hint: remedies.consoleSocket });
  }
  if (consoleSocket !== undefined && !(terminal && detached)) {
    throw new TsrunError('usage', wording.socketWithoutTty('tsrun'));
  }
}

/** Who may get the master of a console: the first of socket, callback and foreground that is there does. */
export interface ConsoleTaker {
  readonly consoleSocket?: string;
  readonly takeConsole?: (master: OwnedFd) => void;
  readonly foreground?: Foreground;
  readonly process: Pick<Process, 'consoleSize'> | undefined;
}

/** Gives the master of a console to the one that `requireConsole` has found. It stays the caller's. Errors: `host`. */
export async function handOverConsole(
  master: OwnedFd,
  { consoleSocket, takeConsole, foreground, process = {} }: ConsoleTaker,
): Promise<void> {
  if (consoleSocket !== undefined) await sendConsole(master, consoleSocket);
  else if (takeConsole !== undefined) takeConsole(master);
  else foreground?.takeConsole(master, process);
}

/** Sends the master of a console to the one that listens at the console socket; the message is the terminal's name. Errors: `host`. */
export async function sendConsole(master: OwnedFd, consoleSocket: string): Promise<void> {
  using socket = await reachConsole(consoleSocket);
  await deliver(socket, Buffer.from('/dev/ptmx'), [master.number]);
}

async function reachConsole(consoleSocket: string): Promise<OwnedFd> {
  try {
    return await reachUnix(consoleSocket, 'stream');
  } catch (error) {
    throw error instanceof TsrunError ? error.withHint(remedies.consoleSocket) : error;
  }
}
