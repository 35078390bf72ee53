import { TsrunError } from '../../errors.ts';
import type { Process } from '../../spec/generated/config.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { connectUnix, sendMessage } from '../../sys/socket.ts';
import { wording } from '../../util/wording.ts';
import type { Foreground } from './foreground.ts';

/**
 * A terminal needs somebody who holds its master: the one at the console socket, or tsrun itself while it waits in the
 * foreground. Errors: `usage`, in the words that callers know from runc.
 */
export function requireConsole(options: {
  readonly terminal: boolean;
  readonly detached: boolean;
  readonly consoleSocket: string | undefined;
}): void {
  const { terminal, detached, consoleSocket } = options;
  if (terminal && detached && consoleSocket === undefined) {
    throw new TsrunError('usage', wording.ttyWithoutSocket('tsrun'));
  }
  if (consoleSocket !== undefined && !(terminal && detached)) {
    throw new TsrunError('usage', wording.socketWithoutTty('tsrun'));
  }
}

export interface ConsoleTaker {
  readonly consoleSocket?: string;
  readonly foreground?: Foreground;
  readonly process: Pick<Process, 'consoleSize'> | undefined;
}

/** Gives the master of a console to the one that `requireConsole` has found. It stays the caller's. Errors: `host`. */
export function handOverConsole(master: OwnedFd, { consoleSocket, foreground, process = {} }: ConsoleTaker): void {
  if (consoleSocket !== undefined) sendConsole(master, consoleSocket);
  else foreground?.takeConsole(master, process);
}

/** Sends the master of a console to the one that listens at the console socket; the message is the terminal's name. Errors: `host`. */
export function sendConsole(master: OwnedFd, consoleSocket: string): void {
  using socket = connectUnix(consoleSocket, 'stream');
  sendMessage(socket.number, Buffer.from('/dev/ptmx'), [master.number]);
}
