import { BRIDGE, parseAddress, printRange, type Range } from './addresses.ts';
import { printPort, type PublishedPort } from './choice.ts';

/** A container on the bridge: its address, and the ports of the host that lead to it. */
export interface BridgeMember {
  readonly id: string;
  /** In dotted decimal. */
  readonly address: string;
  readonly publish: readonly PublishedPort[];
}

/** The table of nftables that is tsrun's alone. */
export const TABLE = 'ip tsrun';

/** Takes the table away, whether it is there or not. */
export const REMOVE_TABLE = `table ${TABLE} {}; delete table ${TABLE};`;

/**
 * All that nftables does for the bridge, in place of whatever there was: one transaction. Each time the whole, so that what a killed tsrun
 * has left is put right by the next one.
 *
 *     out of the bridge     behind the host's address (masquerade)
 *     into the bridge       answers, published ports, and containers among themselves; nothing else
 *     published ports       from outside, from the host also by 127.0.0.1, and from other containers
 *
 * Packets for 127.0.0.1 come to the bridge's device by route_localnet, which it has for the host's own ones; those that a container sends
 * are dropped (CVE-2020-8558). Source: man 8 nft.
 */
export function planRules(range: Range, members: readonly BridgeMember[]): string {
  const network = printRange(range);
  return `${REMOVE_TABLE}
table ${TABLE} {
  map published_tcp { ${mapOf('tcp', members)} }
  map published_udp { ${mapOf('udp', members)} }
  chain publish {
    dnat ip to ip daddr . tcp dport map @published_tcp
    dnat ip to ip daddr . udp dport map @published_udp
  }
  chain prerouting { type nat hook prerouting priority dstnat; fib daddr type local jump publish; }
  chain output { type nat hook output priority -100; fib daddr type local jump publish; }
  chain postrouting {
    type nat hook postrouting priority srcnat
    ip saddr ${network} oifname != "${BRIDGE}" masquerade
    ip saddr 127.0.0.0/8 oifname "${BRIDGE}" masquerade
    ip saddr ${network} ip daddr ${network} ct status dnat masquerade
  }
  chain localnet { type filter hook prerouting priority raw; iifname "${BRIDGE}" ip daddr 127.0.0.0/8 drop; }
  chain forward {
    type filter hook forward priority filter
    oifname != "${BRIDGE}" accept
    iifname "${BRIDGE}" accept
    ct state established,related accept
    ct status dnat accept
    drop
  }
}
`;
}

function mapOf(wanted: PublishedPort['protocol'], members: readonly BridgeMember[]): string {
  const elements = members.flatMap(({ address, publish }) =>
    publish
      .filter(({ protocol }) => protocol === wanted)
      .map(({ hostAddress = '0.0.0.0/0', hostPort, port }) => `${hostAddress} . ${hostPort} : ${address} . ${port}`),
  );
  const type = 'type ipv4_addr . inet_service : ipv4_addr . inet_service; flags interval;';
  return elements.length === 0 ? type : `${type} elements = { ${elements.join(', ')} };`;
}

/** Why ports cannot be published as well; undefined when they can. A port of all addresses is one of each. */
export function portConflict(publish: readonly PublishedPort[], members: readonly BridgeMember[]): string | undefined {
  for (const [index, port] of publish.entries()) {
    const twice = publish.slice(0, index).some((other) => clash(port, other));
    if (twice) return `${JSON.stringify(printPort(port))} is given twice`;
    const owner = members.find((member) => member.publish.some((other) => clash(port, other)));
    if (owner !== undefined)
      return `${JSON.stringify(printPort(port))}: port ${port.hostPort} leads to container ${JSON.stringify(owner.id)} already`;
  }
  return undefined;
}

function clash(one: PublishedPort, other: PublishedPort): boolean {
  if (one.protocol !== other.protocol || one.hostPort !== other.hostPort) return false;
  const [first, second] = [one, other].map(({ hostAddress }) => parseAddress(hostAddress ?? '0.0.0.0'));
  return first === 0 || second === 0 || first === second;
}
