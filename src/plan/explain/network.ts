import { BRIDGE, RANGES, printRange } from '../network/addresses.ts';
import { printPort, type ConnectedChoice, type NetworkChoice, type PublishedPort } from '../network/choice.ts';
import { TABLE } from '../network/rules.ts';
import { unreachable } from '../../util/unreachable.ts';
import { show } from './show.ts';

/** The network that was chosen in place of the config's, in words, a line each. */
export function describeNetwork(choice: NetworkChoice): string[] {
  switch (choice.kind) {
    case 'none':
      return ['none: a loopback interface alone'];
    case 'host':
      return ['that of the host'];
    case 'container':
      return [`that of the container ${show(choice.id)}`];
    case 'namespace':
      return [`the namespace ${show(choice.path)}`];
    case 'bridge':
      return [`an address on the bridge ${BRIDGE}, and a way out by NAT`, ...describePorts(choice.publish)];
    case 'cni':
      return [`what the plugins of the CNI configuration ${show(choice.name)} make`, ...describePorts(choice.publish)];
    default:
      return unreachable(choice);
  }
}

function describePorts(publish: readonly PublishedPort[]): string[] {
  return publish.map(({ hostAddress, hostPort, port, protocol }) => {
    const at = hostAddress === undefined ? '' : ` at ${hostAddress}`;
    return `port ${hostPort}/${protocol} of the host${at} leads to port ${port}`;
  });
}

/** What is made for it while init waits, a line each. Addresses and names are chosen only then. */
export function describeConnection(choice: ConnectedChoice): string[] {
  if (choice.kind === 'cni')
    return [
      `ADD of each plugin of ${show(choice.name)}, for "eth0"`,
      ...choice.publish.map((port) => `portMappings ${printPort(port)}`),
    ];
  return [
    `bridge ${BRIDGE}, where there is none, with the first address of ${RANGES.map(printRange).join(' or ')}`,
    'net.ipv4.ip_forward = 1 and route_localnet = 1 of the bridge, where they are 0',
    'lease of the lowest address that is free',
    `veth pair: one end at ${BRIDGE}, the other as eth0 in the container, with that address and a default route`,
    `table ${TABLE} of nftables anew, with masquerade for all that leaves the bridge`,
    ...choice.publish.map((port) => `dnat ${printPort(port)} in that table`),
    '/etc/hosts of the container, with that address',
  ];
}
