import { TsrunError } from '../errors.ts';
import { descriptorPath, type OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { connectUnix, sendMessage } from '../sys/socket.ts';
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
export function sendListener(listenerFd: number, listenerPath: string, state: ContainerProcessState): void {
  using socket = connectToAgent(listenerPath);
  sendMessage(socket.number, Buffer.from(JSON.stringify(state)), [listenerFd]);
}

function connectToAgent(listenerPath: string): OwnedFd {
  try {
    // The path of a socket is short (108 bytes): it is named through a descriptor.
    using handle = openFile(listenerPath, O_PATH);
    return connectUnix(descriptorPath(handle.number), 'stream');
  } catch (cause) {
    if (!(cause instanceof TsrunError) || cause.errno === undefined) throw cause;
    const action = `connect to the seccomp agent at ${JSON.stringify(listenerPath)}`;
    throw TsrunError.of('host', action, cause, { pointer: POINTER });
  }
}
