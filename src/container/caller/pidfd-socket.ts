import { pidfdOpen } from '../../sys/pidfd.ts';
import { connectUnix, sendMessage } from '../../sys/socket.ts';

/** What the message beside the pidfd says, as runc has it: a container's init, or a further process. */
export type PidfdKind = 'standard' | 'setns';

/** Sends a pidfd of a child of this process to the one that listens at a unix socket. Nothing without a socket. Errors: `host`. */
export function sendPidfd(socketPath: string | undefined, { pid, kind }: { pid: number; kind: PidfdKind }): void {
  if (socketPath === undefined) return;
  using pidfd = pidfdOpen(pid);
  using socket = connectUnix(socketPath, 'stream');
  sendMessage(socket.number, Buffer.from(kind), [pidfd.number]);
}
