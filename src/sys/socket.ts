import { MSG_CMSG_CLOEXEC, MSG_NOSIGNAL, SCM_RIGHTS, SO_PEERCRED, SO_SNDTIMEO, SOL_SOCKET } from '../util/constants.ts';
import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_SEQPACKET, SOCK_STREAM } from '../util/constants.ts';
import { TsrunError } from '../errors.ts';
import { checked, lastErrno } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { bindLibc, loadKoffi } from './library.ts';

const socketCall = bindLibc('int socket(int domain, int type, int protocol)');
const socketpairCall = bindLibc('int socketpair(int domain, int type, int protocol, void *pair)');
const bindCall = bindLibc('int bind(int fd, const void *address, unsigned int length)');
const fchmodCall = bindLibc('int fchmod(int fd, unsigned int mode)');
const listenCall = bindLibc('int listen(int fd, int backlog)');
const connectCall = bindLibc('int connect(int fd, const void *address, unsigned int length)');
const sendmsgCall = bindLibc('long sendmsg(int fd, const void *message, int flags)');
const setsockoptCall = bindLibc('int setsockopt(int fd, int level, int name, const void *value, unsigned int length)');
const accept4Call = bindLibc('int accept4(int fd, void *address, void *length, int flags)');
const getsockoptCall = bindLibc('int getsockopt(int fd, int level, int name, void *value, void *length)');
const recvmsgCall = bindLibc('long recvmsg(int fd, void *message, int flags)');

/** sizeof(sun_path): longer paths cannot be named. Source: man 7 unix. */
const SUN_PATH_SIZE = 108;
const MSG_TRUNC = 0x20;
const MSG_CTRUNC = 0x08;
/** SCM_MAX_FD descriptors at most in one message (include/net/scm.h). */
const MAX_FDS = 253;

/** SOCK_SEQPACKET keeps messages apart and tells when the other side ends; datagrams do the former, a stream the latter. */
export type SocketType = 'seqpacket' | 'stream' | 'datagram';

const TYPES: Readonly<Record<SocketType, number>> = {
  seqpacket: SOCK_SEQPACKET,
  stream: SOCK_STREAM,
  datagram: SOCK_DGRAM,
};

function typeFlags(type: SocketType): number {
  return TYPES[type] | SOCK_CLOEXEC;
}

/** A connected pair of unix sockets, both close-on-exec. Errors: `host`. */
export function socketPair(type: SocketType): [OwnedFd, OwnedFd] {
  const pair = Buffer.alloc(8);
  checked(socketpairCall(AF_UNIX, typeFlags(type), 0, pair), 'create a socket pair');
  return [new OwnedFd(pair.readInt32LE(0)), new OwnedFd(pair.readInt32LE(4))];
}

/** The file of a listening socket, and how many connections may wait to be taken. */
export interface ListenOptions {
  /** Default: 0777. */
  readonly mode?: number;
  /** Default: 1. */
  readonly backlog?: number;
}

/**
 * A unix socket that listens at `path`, or receives datagrams there, close-on-exec. Its file has the permissions `mode` from the
 * first, less what the umask takes. Errors: `host`.
 */
export function listenUnix(path: string, type: SocketType, { mode = 0o777, backlog = 1 }: ListenOptions = {}): OwnedFd {
  const socket = new OwnedFd(checked(socketCall(AF_UNIX, typeFlags(type), 0), 'create a socket'));
  try {
    const address = unixAddress(path);
    // bind(2) makes the file with the mode of the socket's own inode (net/unix/af_unix.c, unix_bind_bsd).
    checked(fchmodCall(socket.number, mode), `set the mode of socket ${JSON.stringify(path)}`);
    checked(bindCall(socket.number, address, address.length), `bind socket ${JSON.stringify(path)}`);
    // Datagrams arrive without a connection.
    if (type !== 'datagram') checked(listenCall(socket.number, backlog), `listen on socket ${JSON.stringify(path)}`);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** Takes a connection that is there, close-on-exec; undefined where none is. Errors: `host`. The listener does not block. */
export function acceptUnix(listener: number): OwnedFd | undefined {
  const result = accept4Call(listener, null, null, SOCK_CLOEXEC);
  if (result < 0 && ['EAGAIN', 'ECONNABORTED', 'EINTR'].includes(lastErrno())) return undefined;
  return new OwnedFd(checked(result, 'take a connection'));
}

/** A process as the kernel saw it when it connected, or listened. Source: man 7 unix, SO_PEERCRED. */
export interface PeerCredentials {
  /** 0 for one of another pid namespace. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Who is at the other end of a unix socket. Errors: `host`. */
export function peerCredentials(fd: number): PeerCredentials {
  const credentials = Buffer.alloc(UCRED_BYTES);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(UCRED_BYTES);
  checked(getsockoptCall(fd, SOL_SOCKET, SO_PEERCRED, credentials, length), 'look at the other end of a socket');
  const [pid, uid, gid] = [0, 4, 8].map((at) => credentials.readUInt32LE(at));
  return { pid: pid ?? 0, uid: uid ?? 0, gid: gid ?? 0 };
}

/** struct ucred: pid, uid, gid. */
const UCRED_BYTES = 12;

/**
 * A unix socket connected to `path` (an abstract name when it starts with `@`), close-on-exec.
 *
 * Errors: `host`; EAGAIN when the other side has not taken the connection, or later a message, within 10 s, for which this thread waits:
 * with `nonBlocking` at once (`reachUnix` waits for it).
 */
export function connectUnix(path: string, type: SocketType, options: { readonly nonBlocking?: boolean } = {}): OwnedFd {
  const flags = typeFlags(type) | (options.nonBlocking === true ? SOCK_NONBLOCK : 0);
  const socket = new OwnedFd(checked(socketCall(AF_UNIX, flags, 0), 'create a socket'));
  try {
    const address = unixAddress(path);
    limitSending(socket);
    checked(connectCall(socket.number, address, address.length), `connect to socket ${JSON.stringify(path)}`);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** connect(2) waits while the other side's backlog is full, and sendmsg(2) while its buffer is, by default for ever. */
function limitSending(socket: OwnedFd): void {
  const timeout = Buffer.alloc(16);
  timeout.writeBigInt64LE(10n, 0);
  checked(setsockoptCall(socket.number, SOL_SOCKET, SO_SNDTIMEO, timeout, timeout.length), 'limit the time of sending');
}

function unixAddress(path: string): Buffer {
  const name = Buffer.from(path);
  if (name.length >= SUN_PATH_SIZE) {
    throw new TsrunError(
      'host',
      `socket path ${JSON.stringify(path)} has ${name.length} bytes, wanted less than ${SUN_PATH_SIZE}`,
    );
  }
  // The length of an abstract name is that of the address; a path ends in NUL.
  const isAbstract = path.startsWith('@');
  const address = Buffer.alloc(2 + name.length + (isAbstract ? 0 : 1));
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  if (isAbstract) address[2] = 0;
  return address;
}

/** Sends one message, with descriptors where given. Errors: `host` (EPIPE when the other side is gone). */
export function sendMessage(fd: number, bytes: Uint8Array, descriptors: readonly number[] = []): void {
  const sent = sendPart(fd, bytes, descriptors);
  if (sent !== bytes.length) throw new TsrunError('host', `send ${bytes.length} bytes: only ${sent} were taken`);
}

/** The same where a stream may take a part of it: how many bytes those were. Errors: also EAGAIN. */
export function sendPart(fd: number, bytes: Uint8Array, descriptors: readonly number[] = []): number {
  const message = messageRoom();
  const control = descriptors.length === 0 ? 0 : align8(CMSG_HEADER + descriptors.length * 4);
  if (descriptors.length > MAX_FDS) throw new Error(`bug: ${descriptors.length} descriptors in one message`);
  if (descriptors.length > 0) {
    message.control.writeBigUInt64LE(BigInt(CMSG_HEADER + descriptors.length * 4), 0);
    message.control.writeInt32LE(SOL_SOCKET, 8);
    message.control.writeInt32LE(SCM_RIGHTS, 12);
    descriptors.forEach((descriptor, index) => message.control.writeInt32LE(descriptor, CMSG_HEADER + index * 4));
  }
  message.describe(bytes, bytes.length, control);
  return checked(sendmsgCall(fd, message.header, MSG_NOSIGNAL), `send ${bytes.length} bytes`);
}

/** One message of a unix socket: of a stream whatever was there, up to the limit. */
export interface ReceivedMessage {
  /** The bytes; none at the end of the stream. */
  readonly bytes: Buffer;
  /** Descriptors that came along, close-on-exec, owned by the caller. */
  readonly descriptors: readonly OwnedFd[];
}

/** Receives one message of at most `limit` bytes; a longer one is an error. Blocks. Errors: `host`. */
export function receiveMessage(fd: number, limit: number): ReceivedMessage {
  const message = messageRoom();
  const bytes = limit <= message.bytes.length ? message.bytes : Buffer.allocUnsafe(limit);
  message.describe(bytes, limit, message.control.length);
  const received = checked(recvmsgCall(fd, message.header, MSG_CMSG_CLOEXEC), 'receive a message');
  const descriptors = readDescriptors(message.control.subarray(0, message.controlLength));
  if ((message.flags & (MSG_TRUNC | MSG_CTRUNC)) !== 0) {
    for (const descriptor of descriptors) descriptor.close();
    throw new TsrunError('host', `receive a message: longer than ${limit} bytes`);
  }
  return { bytes: Buffer.from(bytes.subarray(0, received)), descriptors };
}

function readDescriptors(control: Buffer): OwnedFd[] {
  const descriptors: OwnedFd[] = [];
  let offset = 0;
  while (offset + 16 <= control.length) {
    const length = Number(control.readBigUInt64LE(offset));
    if (length < 16 || offset + length > control.length) break;
    const isRights = control.readInt32LE(offset + 8) === SOL_SOCKET && control.readInt32LE(offset + 12) === SCM_RIGHTS;
    for (let at = offset + 16; isRights && at + 4 <= offset + length; at += 4) {
      descriptors.push(new OwnedFd(control.readInt32LE(at)));
    }
    offset += align8(length);
  }
  return descriptors;
}

function align8(size: number): number {
  return Math.ceil(size / 8) * 8;
}

const CMSG_HEADER = 16;
/** Larger than most messages: those of a conversation have 60 KiB at most. */
const ROOM_BYTES = 64 * 1024;

/** struct msghdr with one iovec, and what they point to, for one message after the other. Source: man 2 sendmsg. */
class MessageRoom {
  readonly header = Buffer.alloc(56);
  readonly control = Buffer.alloc(align8(CMSG_HEADER + MAX_FDS * 4));
  readonly bytes = Buffer.alloc(ROOM_BYTES);
  readonly #vector = Buffer.alloc(16);
  readonly #controlAddress = loadKoffi().address(this.control);
  readonly #bytesAddress = loadKoffi().address(this.bytes);

  constructor() {
    this.header.writeBigUInt64LE(loadKoffi().address(this.#vector), 16);
    this.header.writeBigUInt64LE(1n, 24);
  }

  /** `bytes` stays referenced until the call is over. */
  describe(bytes: Uint8Array, length: number, controlLength: number): void {
    const address = bytes === this.bytes ? this.#bytesAddress : bytes.length > 0 ? loadKoffi().address(bytes) : 0n;
    this.#vector.writeBigUInt64LE(address, 0);
    this.#vector.writeUInt32LE(length, 8);
    this.header.writeBigUInt64LE(controlLength > 0 ? this.#controlAddress : 0n, 32);
    this.header.writeUInt32LE(controlLength, 40);
    this.header.writeUInt32LE(0, 48);
  }

  get controlLength(): number {
    return this.header.readUInt32LE(40);
  }

  get flags(): number {
    return this.header.readInt32LE(48);
  }
}

let room: MessageRoom | undefined;

/** One is enough: nothing waits between filling it and reading it. */
function messageRoom(): MessageRoom {
  room ??= new MessageRoom();
  return room;
}
