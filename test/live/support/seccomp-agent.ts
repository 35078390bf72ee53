import { bindLibc } from '../../../src/sys/library.ts';
import { checked } from '../../../src/sys/errno.ts';
import { OwnedFd } from '../../../src/sys/fd.ts';
import { waitReadable } from '../../../src/sys/events/poll.ts';
import { listenUnix, receiveMessage } from '../../../src/sys/socket.ts';
import { SOCK_CLOEXEC } from '../../../src/util/constants.ts';

const accept4 = bindLibc('int accept4(int fd, void *address, void *length, int flags)');
const ioctl = bindLibc('int ioctl(int fd, unsigned long request, void *argument)');

// include/uapi/linux/seccomp.h
const SECCOMP_IOCTL_NOTIF_RECV = 0xc0502100;
const SECCOMP_IOCTL_NOTIF_SEND = 0xc0182101;
const SECCOMP_USER_NOTIF_FLAG_CONTINUE = 1;
const WAIT_MS = 15_000;

/** What came with a listener. */
export interface Delivery {
  readonly listener: OwnedFd;
  readonly state: {
    readonly ociVersion: string;
    readonly fds: readonly string[];
    readonly pid: number;
    readonly metadata?: string;
    readonly state: { readonly id: string; readonly status: string; readonly pid: number; readonly bundle: string };
  };
  /** The other side said no more than this. */
  readonly isEnded: boolean;
}

/** The one at listenerPath: it answers what processes ask about their system calls. */
export class SeccompAgent implements Disposable {
  readonly #socket: OwnedFd;

  constructor(path: string) {
    this.#socket = listenUnix(path, 'stream');
  }

  /** Waits for one container or exec to hand its listener over. */
  async accept(): Promise<Delivery> {
    if (!(await waitReadable(this.#socket.number, WAIT_MS))) throw new Error('no listener was handed over');
    using connection = new OwnedFd(checked(accept4(this.#socket.number, null, null, SOCK_CLOEXEC), 'accept'));
    if (!(await waitReadable(connection.number, WAIT_MS))) throw new Error('the connection is silent');
    const { bytes, descriptors } = receiveMessage(connection.number, 65536);
    const [listener] = descriptors;
    if (listener === undefined || descriptors.length !== 1) throw new Error(`${descriptors.length} descriptors came`);
    await waitReadable(connection.number, WAIT_MS);
    const isEnded = receiveMessage(connection.number, 65536).bytes.length === 0;
    return { listener, isEnded, state: JSON.parse(bytes.toString()) as Delivery['state'] };
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** Answers one call: with an errno, or by letting it go on. Returns the call's number; undefined when nobody asks any more. */
export async function answerOne(listener: OwnedFd, errno: number | 'continue'): Promise<number | undefined> {
  if (!(await waitReadable(listener.number, WAIT_MS))) throw new Error('nobody makes a call');
  const request = Buffer.alloc(80);
  if (ioctl(listener.number, SECCOMP_IOCTL_NOTIF_RECV, request) < 0) return undefined;
  const response = Buffer.alloc(24);
  request.copy(response, 0, 0, 8);
  if (errno === 'continue') response.writeUInt32LE(SECCOMP_USER_NOTIF_FLAG_CONTINUE, 20);
  else response.writeInt32LE(-errno, 16);
  checked(ioctl(listener.number, SECCOMP_IOCTL_NOTIF_SEND, response), 'answer a notification');
  return request.readInt32LE(16);
}
