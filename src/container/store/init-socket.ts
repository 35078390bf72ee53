import { lstatSync, mkdirSync, rmSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { O_DIRECTORY, O_NOFOLLOW } from '../../sys/open-flags.ts';
import { listenUnix } from '../../sys/socket.ts';
import { O_PATH } from '../../util/constants.ts';
import type { StateDirectory } from './directory.ts';

/**
 * The socket on which the init of a created container waits for `start`: who talks with init runs what they like with its rights. Only
 * the creator's user gets through its directory, and init looks at who connects as well (plan/run-program.ts).
 */
const DIRECTORY = 'init';
const NAME = 'init.sock';
/** Its path in the state directory. */
export const INIT_SOCKET = `${DIRECTORY}/${NAME}`;

/** Makes the socket and listens on it; owned by the caller. Errors: `state`, `host`. */
export function listenForStart(directory: StateDirectory): OwnedFd {
  const path = directory.file(DIRECTORY);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (cause) {
    throw TsrunError.of('state', `create directory ${JSON.stringify(DIRECTORY)}`, cause);
  }
  using handle = openFile(path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  // The path of a socket is short (108 bytes): it is named through a descriptor of its directory.
  return listenUnix(`${descriptorPath(handle.number)}/${NAME}`, 'seqpacket', { mode: 0o600 });
}

/** Whether it is there. */
export function hasInitSocket(directory: StateDirectory): boolean {
  return lstatSync(directory.file(INIT_SOCKET), { throwIfNoEntry: false }) !== undefined;
}

/** Removes the socket, without which a container counts as started; none there is no error. */
export function removeInitSocket(directory: StateDirectory): void {
  rmSync(directory.file(INIT_SOCKET), { force: true });
}
