import { hasErrno } from '../errno.ts';
import { netlinkAttribute, type Netlink } from '../netlink.ts';
import { findLink, linkHeader, nameAttribute, type Link } from '../network-links.ts';

/** Network devices that are made and removed by rtnetlink. Source: man 7 rtnetlink, include/uapi/linux/if_link.h, veth.h. */

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_SETLINK = 19;
const NLM_F_EXCL_CREATE = 0x200 | 0x400;
const IFLA_ADDRESS = 1;
const IFLA_MASTER = 10;
const IFLA_PROTINFO = 12;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_FD = 28;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFLA_BRPORT_MODE = 4;
const NLA_F_NESTED = 0x8000;
/** Family of what is said to a port of a bridge (include/linux/socket.h). */
const AF_BRIDGE = 7;

/**
 * A new bridge, which is down. `address`: 6 bytes; without one of its own it would take that of its ports, another whenever they change, and
 * what its neighbours know of it would be wrong. Errors: `host` (EEXIST).
 */
export function createBridge(netlink: Netlink, { name, address }: { name: string; address: Uint8Array }): void {
  const attributes = [nameAttribute(name), netlinkAttribute(IFLA_ADDRESS, address), linkInfo('bridge')];
  const payload = Buffer.concat([linkHeader(0), ...attributes]);
  const what = `make bridge ${JSON.stringify(name)}`;
  netlink.request({ type: RTM_NEWLINK, flags: NLM_F_EXCL_CREATE, payload, what });
}

/**
 * A veth pair: one end here, at a bridge, the other in a network namespace. Both are down, and end with either of their namespaces.
 * Errors: `host` (EEXIST).
 */
export function createVethPair(
  netlink: Netlink,
  { name, master, peer }: { name: string; master: Link; peer: { name: string; namespaceFd: number } },
): void {
  const other = Buffer.concat([
    linkHeader(0),
    nameAttribute(peer.name),
    netlinkAttribute(IFLA_NET_NS_FD, int32(peer.namespaceFd)),
  ]);
  const payload = Buffer.concat([
    linkHeader(0),
    nameAttribute(name),
    netlinkAttribute(IFLA_MASTER, int32(master.index)),
    linkInfo('veth', netlinkAttribute(VETH_INFO_PEER, other)),
  ]);
  const what = `make a pair of network devices, ${JSON.stringify(name)} and ${JSON.stringify(peer.name)} of the container`;
  netlink.request({ type: RTM_NEWLINK, flags: NLM_F_EXCL_CREATE, payload, what });
}

/**
 * Has a bridge send back by a port what came in by it. Where its packets go through the rules of IP (br_netfilter), one whose new destination
 * is where it came from would be lost. Source: include/uapi/linux/if_link.h, IFLA_BRPORT_MODE. Errors: `host`.
 */
export function setHairpin(netlink: Netlink, { index, name }: Link): void {
  const header = linkHeader(index);
  header.writeUInt8(AF_BRIDGE, 0);
  const port = netlinkAttribute(IFLA_PROTINFO | NLA_F_NESTED, netlinkAttribute(IFLA_BRPORT_MODE, Uint8Array.of(1)));
  const what = `have the bridge send back by ${JSON.stringify(name)}`;
  netlink.request({ type: RTM_SETLINK, flags: 0, payload: Buffer.concat([header, port]), what });
}

/** Removes a device with what it is a pair with; one that is gone is fine. Errors: `host`. */
export function removeLink(netlink: Netlink, name: string): void {
  const link = findLink(netlink, name);
  if (link === undefined) return;
  try {
    const what = `remove network device ${JSON.stringify(name)}`;
    netlink.request({ type: RTM_DELLINK, flags: 0, payload: linkHeader(link.index), what });
  } catch (error) {
    // Its other end has gone with the container's namespace meanwhile.
    if (!hasErrno(error, 'ENODEV')) throw error;
  }
}

function linkInfo(kind: string, data?: Buffer): Buffer {
  const parts = [netlinkAttribute(IFLA_INFO_KIND, Buffer.from(kind))];
  if (data !== undefined) parts.push(netlinkAttribute(IFLA_INFO_DATA, data));
  return netlinkAttribute(IFLA_LINKINFO, Buffer.concat(parts));
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
