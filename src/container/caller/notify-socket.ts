import { chmodSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { NOTIFY_SOCKET_NAME, saysReady } from '../../plan/service-manager.ts';
import { hasErrno } from '../../sys/errno.ts';
import { descriptorPath, type OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { O_DIRECTORY, O_NOFOLLOW } from '../../sys/open-flags.ts';
import { pipe } from '../../sys/pipe.ts';
import { waitAny, waitReadable } from '../../sys/events/poll.ts';
import { deliver, reachUnix } from '../../sys/events/unix-socket.ts';
import { listenUnix, receiveMessage } from '../../sys/socket.ts';
import { O_PATH, POLLIN } from '../../util/constants.ts';
import type { StateDirectory } from '../store/directory.ts';

/**
 * Between a program that speaks sd_notify(3) and the service manager that started tsrun:
 *
 *     program in the container        tsrun                            service manager
 *     READY=1 -> notify.sock    --->  READY=1                    --->  NOTIFY_SOCKET
 *                                     MAINPID=<pid on the host>  --->
 *                                     BARRIER=1, end of a pipe   --->
 *                                     end of file               <---  closes it when it has read all of that
 *
 * Nothing else a container says goes on to the host. The directory is mounted read-only: what is in it is tsrun's.
 */
const DIRECTORY = 'notify';
/** A datagram of sd_notify is short; a longer one is passed over. */
const DATAGRAM_LIMIT_BYTES = 4096;
const BARRIER_TIMEOUT_MS = 30_000;

/** Absolute path of the directory that is mounted into the container. */
export function notifyDirectory(directory: StateDirectory): string {
  return path.join(directory.path, DIRECTORY);
}

/** Makes it, open to every user of the container. Errors: `state`. */
export function makeNotifyDirectory(directory: StateDirectory): void {
  try {
    mkdirSync(directory.file(DIRECTORY));
    chmodSync(directory.file(DIRECTORY), 0o755);
  } catch (cause) {
    throw TsrunError.of('state', `create ${JSON.stringify(notifyDirectory(directory))}`, cause);
  }
}

/** The socket to which the program will write, which every user may; owned by the caller. Errors: `host`. */
export function bindNotifySocket(directory: StateDirectory): OwnedFd {
  using handle = openFile(directory.file(DIRECTORY), O_PATH | O_DIRECTORY | O_NOFOLLOW);
  // The path of a socket is short: it is named through its directory.
  const name = `${descriptorPath(handle.number)}/${NOTIFY_SOCKET_NAME}`;
  const socket = listenUnix(name, 'datagram');
  try {
    using file = openFile(name, O_PATH | O_NOFOLLOW);
    chmodSync(descriptorPath(file.number), 0o777);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** The two ends between which readiness is passed on. Source: man 3 sd_notify. */
export interface NotifyRelay {
  /** As `bindNotifySocket` made it; closed at the end, so that later messages are refused rather than piling up. */
  readonly socket: OwnedFd;
  /** The service manager's: a path, or an abstract name behind `@`. */
  readonly host: string;
  /** What the service manager is to watch from now on. */
  readonly mainPid: number;
  /** The container's first process: when it ends nobody will be ready any more. */
  readonly pidfd: OwnedFd;
}

/**
 * Waits until the program is ready, or has ended, and tells the service manager.
 *
 * A service manager that cannot be reached is a warning: the container runs.
 */
export async function relayReadiness(relay: NotifyRelay, log: Log): Promise<void> {
  const { socket, host, mainPid, pidfd } = relay;
  try {
    if (!(await waitForReady(socket, pidfd))) return;
    using manager = await reachUnix(host, 'datagram');
    await deliver(manager, Buffer.from('READY=1\n'));
    await deliver(manager, Buffer.from(`MAINPID=${mainPid}\n`));
    await passBarrier(manager);
  } catch (error) {
    if (!(error instanceof TsrunError)) throw error;
    log.warning(`notify the service manager at ${JSON.stringify(host)}: ${error.message}`);
  } finally {
    socket.close();
  }
}

/** False when the container has ended. */
async function waitForReady(socket: OwnedFd, pidfd: OwnedFd): Promise<boolean> {
  for (;;) {
    const readable = await waitAny([
      { fd: socket.number, events: POLLIN },
      { fd: pidfd.number, events: POLLIN },
    ]);
    // What was said before the end still counts.
    if (readable.includes(socket.number)) {
      if (receiveReady(socket)) return true;
    } else if (readable.includes(pidfd.number)) return false;
  }
}

function receiveReady(socket: OwnedFd): boolean {
  try {
    const { bytes, descriptors } = receiveMessage(socket.number, DATAGRAM_LIMIT_BYTES);
    for (const descriptor of descriptors) descriptor.close();
    return saysReady(bytes.toString('latin1'));
  } catch (error) {
    // Too long, or with too many descriptors; other than that a socket has nothing to complain of.
    if (error instanceof TsrunError && !hasErrno(error, 'EBADF', 'ENOTSOCK')) return false;
    throw error;
  }
}

/** Waits until the service manager has read what was sent: it closes the end of a pipe (sd_notify_barrier(3)). */
async function passBarrier(manager: OwnedFd): Promise<void> {
  const [reader, writer] = pipe();
  using end = reader;
  try {
    await deliver(manager, Buffer.from('BARRIER=1'), [writer.number]);
  } finally {
    writer.close();
  }
  if (!(await waitReadable(end.number, BARRIER_TIMEOUT_MS))) {
    throw new TsrunError('host', `it has not read its messages within ${BARRIER_TIMEOUT_MS / 1000} s`);
  }
}
