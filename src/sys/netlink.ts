import { TsrunError } from '../errors.ts';
import { ERRNO, errnoName } from '../util/errno.ts';
import { AF_NETLINK, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from '../util/constants.ts';
import { checked } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { bindLibc } from './library.ts';

const socketCall = bindLibc('int socket(int domain, int type, int protocol)');
const sendCall = bindLibc('long send(int fd, const void *bytes, size_t count, int flags)');
const recvCall = bindLibc('long recv(int fd, void *bytes, size_t count, int flags)');

/** include/uapi/linux/netlink.h and rtnetlink.h; the same on x86-64 and arm64. */
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const HEADER_SIZE = 16;
const ATTRIBUTE_HEADER_SIZE = 4;
/** NLMSG_GOODSIZE at most; dumps come in pieces of up to 32 KiB. */
const RECEIVE_BYTES = 64 * 1024;
/** Messages of one answer: a host has some thousand interfaces and addresses at most. */
const MAX_MESSAGES = 100_000;

/** One message of an answer, without its header. */
export interface NetlinkMessage {
  readonly type: number;
  readonly payload: Buffer;
}

/** A message to the kernel without its header, which `request` puts in front (man 7 netlink). */
export interface NetlinkRequest {
  readonly type: number;
  /** NLM_F_* beside those of every request. */
  readonly flags: number;
  /** The fixed structure of this type, then attributes. */
  readonly payload: Buffer;
  /** What is being done, for the failure message. */
  readonly what: string;
}

/** A route netlink socket (man 7 rtnetlink) of this process's network namespace, or one that another process has opened in its own. */
export class Netlink implements Disposable {
  readonly #socket: OwnedFd;
  #sequence = 0;

  /** Takes the socket over. */
  constructor(socket: OwnedFd) {
    this.#socket = socket;
  }

  /** Errors: `host`. */
  static open(): Netlink {
    return new Netlink(
      new OwnedFd(checked(socketCall(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0), 'open a netlink socket')),
    );
  }

  /** What the kernel answers; an acknowledgement alone is no message. Errors: `host` with `errno`. */
  request({ type, flags, payload, what }: NetlinkRequest): NetlinkMessage[] {
    this.#sequence += 1;
    const message = Buffer.alloc(HEADER_SIZE + payload.length);
    message.writeUInt32LE(message.length, 0);
    message.writeUInt16LE(type, 4);
    message.writeUInt16LE(flags | NLM_F_REQUEST | NLM_F_ACK, 6);
    message.writeUInt32LE(this.#sequence, 8);
    payload.copy(message, HEADER_SIZE);
    checked(sendCall(this.#socket.number, message, message.length, 0), what);
    const answer: NetlinkMessage[] = [];
    while (!this.#receive(answer, what));
    return answer;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }

  /**
   * Takes one datagram; true when it ends the answer. The kernel has put it there while it served the request, or does so for the one
   * before: there is nothing to wait for.
   */
  #receive(answer: NetlinkMessage[], what: string): boolean {
    const buffer = Buffer.alloc(RECEIVE_BYTES);
    const length = checked(recvCall(this.#socket.number, buffer, buffer.length, MSG_DONTWAIT), what);
    for (let at = 0; at + HEADER_SIZE <= length;) {
      const size = buffer.readUInt32LE(at);
      if (size < HEADER_SIZE || at + size > length) break;
      const type = buffer.readUInt16LE(at + 4);
      const isOurs = buffer.readUInt32LE(at + 8) === this.#sequence;
      const payload = buffer.subarray(at + HEADER_SIZE, at + size);
      at += align4(size);
      if (!isOurs) continue;
      if (type === NLMSG_DONE) return true;
      if (type === NLMSG_ERROR) {
        throwUnlessDone(payload.readInt32LE(0), what);
        return true;
      }
      if (answer.length >= MAX_MESSAGES) throw new TsrunError('host', `${what}: more than ${MAX_MESSAGES} answers`);
      answer.push({ type, payload });
    }
    return false;
  }
}

/** struct nlmsgerr: 0 acknowledges. */
function throwUnlessDone(result: number, what: string): void {
  if (result === 0) return;
  const errno = errnoName(-result);
  throw TsrunError.of('host', what, errno, { errno: errno in ERRNO ? errno : 'EIO' });
}

/** struct rtattr with its padding. */
export function netlinkAttribute(type: number, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align4(ATTRIBUTE_HEADER_SIZE + value.length));
  bytes.writeUInt16LE(ATTRIBUTE_HEADER_SIZE + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, ATTRIBUTE_HEADER_SIZE);
  return bytes;
}

/** Attribute type -> value. The flag bits of a type are left out. */
export function readNetlinkAttributes(bytes: Buffer): Map<number, Buffer> {
  const TYPE_MASK = 0x3fff;
  const attributes = new Map<number, Buffer>();
  for (let at = 0; at + ATTRIBUTE_HEADER_SIZE <= bytes.length;) {
    const size = bytes.readUInt16LE(at);
    if (size < ATTRIBUTE_HEADER_SIZE || at + size > bytes.length) break;
    attributes.set(bytes.readUInt16LE(at + 2) & TYPE_MASK, bytes.subarray(at + ATTRIBUTE_HEADER_SIZE, at + size));
    at += align4(size);
  }
  return attributes;
}

function align4(size: number): number {
  return Math.ceil(size / 4) * 4;
}
