import { pidfdOpen } from '../../sys/process/pidfd.ts';
import { deliver, reachUnix } from '../../sys/events/unix-socket.ts';

/** What the message beside the pidfd says, as runc has it: a container's init, or a further process. */
export type PidfdKind = 'standard' | 'setns';

/** Sends a pidfd of a child of this process to the one that listens at a unix socket. Nothing without a socket. Errors: `host`. */
export async function sendPidfd(
  socketPath: string | undefined,
  { pid, kind }: { pid: number; kind: PidfdKind },
): Promise<void> {
  if (socketPath === undefined) return;
  using pidfd = pidfdOpen(pid);
  using socket = await reachUnix(socketPath, 'stream');
  await deliver(socket, Buffer.from(kind), [pidfd.number]);
}
