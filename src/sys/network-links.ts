import { TsrunError } from '../errors.ts';
import { hasErrno } from './errno.ts';
import { Netlink, netlinkAttribute, readNetlinkAttributes } from './netlink.ts';
import { IFF_UP } from '../util/constants.ts';

/** Network interfaces and their addresses, as rtnetlink shows and changes them. Source: man 7 rtnetlink, include/uapi/linux/if_link.h. */

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const NLM_F_EXCL_CREATE = 0x200 | 0x400;
const NLM_F_DUMP = 0x300;
const IFLA_IFNAME = 3;
const IFLA_NET_NS_FD = 28;
const IFA_ADDRESS = 1;
/** Attribute of an address: the interface's own. */
export const IFA_LOCAL = 2;
/** Likewise: that of everybody in the network. */
export const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;
const IFA_F_PERMANENT = 0x80;
/** Flags that a request may set: no duplicate address detection, no route for the prefix. */
const IFA_F_KEPT = 0x02 | 0x200;
const RT_SCOPE_UNIVERSE = 0;
/** struct ifinfomsg: u8 family, u8 pad, u16 type, i32 index, u32 flags, u32 change. */
const LINK_SIZE = 16;
/** struct ifaddrmsg: u8 family, u8 prefixlen, u8 flags, u8 scope, u32 index. */
const ADDRESS_SIZE = 8;

/** A network interface: its index holds in one network namespace alone, and its name can change. */
export interface Link {
  readonly index: number;
  readonly name: string;
}

/** An address that is configured for good and valid everywhere. */
export interface LinkAddress {
  readonly family: number;
  readonly prefixLength: number;
  readonly flags: number;
  /** Attribute type -> bytes: local, peer and broadcast address. */
  readonly values: ReadonlyMap<number, Buffer>;
}

/** All interfaces of the socket's network namespace. Errors: `host`. */
export function listLinks(netlink: Netlink): Link[] {
  const request = { type: RTM_GETLINK, flags: NLM_F_DUMP, payload: linkHeader(0), what: 'list network devices' };
  return netlink
    .request(request)
    .filter(({ type }) => type === RTM_NEWLINK)
    .map(({ payload }) => readLink(payload));
}

/** The interface of this name; undefined when there is none. Errors: `host`. */
export function findLink(netlink: Netlink, name: string): Link | undefined {
  const payload = Buffer.concat([linkHeader(0), nameAttribute(name)]);
  const what = `look for network device ${JSON.stringify(name)}`;
  try {
    const found = netlink
      .request({ type: RTM_GETLINK, flags: 0, payload, what })
      .find(({ type }) => type === RTM_NEWLINK);
    return found === undefined ? undefined : readLink(found.payload);
  } catch (error) {
    if (hasErrno(error, 'ENODEV')) return undefined;
    throw error;
  }
}

/** The permanent global addresses of an interface: IFA_F_PERMANENT and RT_SCOPE_UNIVERSE. Errors: `host`. */
export function listPermanentAddresses(netlink: Netlink, { index, name }: Link): LinkAddress[] {
  const what = `list the addresses of network device ${JSON.stringify(name)}`;
  const request = { type: RTM_GETADDR, flags: NLM_F_DUMP, payload: Buffer.alloc(ADDRESS_SIZE), what };
  return netlink.request(request).flatMap(({ type, payload }) => {
    if (type !== RTM_NEWADDR || payload.readUInt32LE(4) !== index) return [];
    const attributes = readNetlinkAttributes(payload.subarray(ADDRESS_SIZE));
    const flags = attributes.get(IFA_FLAGS)?.readUInt32LE(0) ?? payload.readUInt8(2);
    if ((flags & IFA_F_PERMANENT) === 0 || payload.readUInt8(3) !== RT_SCOPE_UNIVERSE) return [];
    const values = new Map<number, Buffer>();
    for (const kind of [IFA_LOCAL, IFA_ADDRESS, IFA_BROADCAST]) {
      const value = attributes.get(kind);
      if (value !== undefined) values.set(kind, Buffer.from(value));
    }
    return [{ family: payload.readUInt8(0), prefixLength: payload.readUInt8(1), flags, values }];
  });
}

/** Moves an interface into another network namespace and renames it there; it loses its addresses and is down. Errors: `host`. */
export function moveLink(
  netlink: Netlink,
  link: Link,
  target: { readonly namespaceFd: number; readonly name: string },
): void {
  const fd = Buffer.alloc(4);
  fd.writeInt32LE(target.namespaceFd);
  const what = `move network device ${JSON.stringify(link.name)} into the container as ${JSON.stringify(target.name)}`;
  const attributes = [netlinkAttribute(IFLA_NET_NS_FD, fd), nameAttribute(target.name)];
  netlink.request({
    type: RTM_NEWLINK,
    flags: 0,
    payload: Buffer.concat([linkHeader(link.index), ...attributes]),
    what,
  });
}

/** Errors: `host`. */
export function addAddress(netlink: Netlink, { index, name }: Link, address: LinkAddress): void {
  const header = Buffer.alloc(ADDRESS_SIZE);
  header.writeUInt8(address.family, 0);
  header.writeUInt8(address.prefixLength, 1);
  header.writeUInt8(RT_SCOPE_UNIVERSE, 3);
  header.writeUInt32LE(index, 4);
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE((address.flags & IFA_F_KEPT) >>> 0);
  const attributes = [...address.values].map(([type, value]) => netlinkAttribute(type, value));
  const payload = Buffer.concat([header, ...attributes, netlinkAttribute(IFA_FLAGS, flags)]);
  const what = `give network device ${JSON.stringify(name)} an address`;
  netlink.request({ type: RTM_NEWADDR, flags: NLM_F_EXCL_CREATE, payload, what });
}

/** Errors: `host`. */
export function setLinkUp(netlink: Netlink, { index, name }: Link): void {
  const what = `bring network device ${JSON.stringify(name)} up`;
  netlink.request({ type: RTM_NEWLINK, flags: 0, payload: linkHeader(index, IFF_UP), what });
}

/** struct ifinfomsg. `flags` are set, all others stay as they are. */
export function linkHeader(index: number, flags = 0): Buffer {
  const bytes = Buffer.alloc(LINK_SIZE);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(flags, 12);
  return bytes;
}

/** IFLA_IFNAME. */
export function nameAttribute(name: string): Buffer {
  return netlinkAttribute(IFLA_IFNAME, Buffer.from(`${name}\0`));
}

function readLink(payload: Buffer): Link {
  const name = readNetlinkAttributes(payload.subarray(LINK_SIZE))
    .get(IFLA_IFNAME)
    ?.toString('utf8')
    .replace(/\0.*$/s, '');
  if (name === undefined) throw new TsrunError('host', 'list network devices: one has no name');
  return { index: payload.readInt32LE(4), name };
}
