import { TsrunError } from '../errors.ts';
import { descriptorPath, type OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { deliver, reachUnix } from '../sys/events/unix-socket.ts';
import { O_PATH } from '../util/constants.ts';

const POINTER = '/linux/seccomp/listenerPath';

/** config-linux.md, "The Container Process State": what the listener is sent along with its descriptor. */
export interface ContainerProcessState {
  readonly ociVersion: string;
  /** What each of the descriptors is. */
  readonly fds: readonly ['seccompFd'];
  /** The process that is filtered, as the runtime sees it. */
  readonly pid: number;
  readonly metadata?: string;
  /** State of the container. */
  readonly state: object;
}

/**
 * Sends a listener to the one that answers its notifications: one JSON document with the descriptor, then the end.
 *
 * Errors: `host` when nobody listens at the path.
 */
export async function sendListener(
  listenerFd: number,
  listenerPath: string,
  state: ContainerProcessState,
): Promise<void> {
  using socket = await connectToAgent(listenerPath);
  await deliver(socket, Buffer.from(JSON.stringify(state)), [listenerFd]);
}

async function connectToAgent(listenerPath: string): Promise<OwnedFd> {
  try {
    // The path of a socket is short (108 bytes): it is named through a descriptor.
    using handle = openFile(listenerPath, O_PATH);
    return await reachUnix(descriptorPath(handle.number), 'stream');
  } catch (cause) {
    if (!(cause instanceof TsrunError) || cause.errno === undefined) throw cause;
    const action = `connect to the seccomp agent at ${JSON.stringify(listenerPath)}`;
    throw TsrunError.of('host', action, cause, { pointer: POINTER });
  }
}
