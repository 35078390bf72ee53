import { AF_INET } from '../../util/constants.ts';
import { netlinkAttribute, readNetlinkAttributes, type Netlink } from '../netlink.ts';

/** IPv4 routes, as rtnetlink shows and changes them. Source: man 7 rtnetlink, include/uapi/linux/rtnetlink.h. */

const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const NLM_F_EXCL_CREATE = 0x200 | 0x400;
const NLM_F_DUMP = 0x300;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RT_SCOPE_UNIVERSE = 0;
const RTN_UNICAST = 1;
/** struct rtmsg: u8 family, dst_len, src_len, tos, table, protocol, scope, type; u32 flags. */
const ROUTE_SIZE = 12;

/** A route to an IPv4 network. */
export interface Ipv4Route {
  /** The first address, as a number. */
  readonly base: number;
  readonly prefixLength: number;
  /** Index of the device; 0 when there is more than one, or none. */
  readonly deviceIndex: number;
}

/** The IPv4 routes of the socket's network namespace, whatever their table. Errors: `host`. */
export function listIpv4Routes(netlink: Netlink): Ipv4Route[] {
  const payload = Buffer.alloc(ROUTE_SIZE);
  payload.writeUInt8(AF_INET, 0);
  return netlink
    .request({ type: RTM_GETROUTE, flags: NLM_F_DUMP, payload, what: 'list the routes' })
    .filter((message) => message.type === RTM_NEWROUTE && message.payload.readUInt8(7) === RTN_UNICAST)
    .map((message) => {
      const attributes = readNetlinkAttributes(message.payload.subarray(ROUTE_SIZE));
      return {
        base: attributes.get(RTA_DST)?.readUInt32BE(0) ?? 0,
        prefixLength: message.payload.readUInt8(1),
        deviceIndex: attributes.get(RTA_OIF)?.readUInt32LE(0) ?? 0,
      };
    });
}

/** Sends all that has no other way to an IPv4 address. Errors: `host`. */
export function addDefaultRoute(netlink: Netlink, gateway: number): void {
  const header = Buffer.from([
    AF_INET,
    0,
    0,
    0,
    RT_TABLE_MAIN,
    RTPROT_BOOT,
    RT_SCOPE_UNIVERSE,
    RTN_UNICAST,
    0,
    0,
    0,
    0,
  ]);
  const address = Buffer.alloc(4);
  address.writeUInt32BE(gateway);
  const payload = Buffer.concat([header, netlinkAttribute(RTA_GATEWAY, address)]);
  netlink.request({ type: RTM_NEWROUTE, flags: NLM_F_EXCL_CREATE, payload, what: 'add the default route' });
}
