import { readFileSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import { networkNamespaceOf } from '../host/network-namespace.ts';
import {
  BRIDGE,
  broadcastOf,
  chooseAddress,
  chooseRange,
  gatewayOf,
  parseAddress,
  printAddress,
  RANGES,
  rangeOf,
  printRange,
  type Range,
} from '../plan/network/addresses.ts';
import type { PublishedPort } from '../plan/network/choice.ts';
import { planRules, portConflict, REMOVE_TABLE } from '../plan/network/rules.ts';
import type { BridgeReference } from '../spec/generated/record.ts';
import { hasErrno } from '../sys/errno.ts';
import { duplicateAbove, type OwnedFd } from '../sys/fd.ts';
import { openFile, writeKernelFile } from '../sys/file.ts';
import { Netlink } from '../sys/netlink.ts';
import { createBridge, createVethPair, removeLink, setHairpin } from '../sys/network/devices.ts';
import { addDefaultRoute, listIpv4Routes } from '../sys/network/routes.ts';
import {
  addAddress,
  findLink,
  IFA_BROADCAST,
  IFA_LOCAL,
  listLinks,
  listPermanentAddresses,
  setLinkUp,
  type Link,
} from '../sys/network-links.ts';
import { randomBytes } from '../sys/random.ts';
import { AF_INET, O_RDONLY } from '../util/constants.ts';
import { Leases, type Lease } from './leases.ts';
import { requireNft, runNft } from './nft.ts';

/** A container that is to be connected. */
export interface BridgeRequest extends Pick<Lease, 'id' | 'directory' | 'init'> {
  readonly publish: readonly PublishedPort[];
  /** A netlink socket of its network namespace, which stays the caller's. */
  readonly socket: OwnedFd;
  /** Called before anything is made that this refers to. */
  readonly remember: (reference: BridgeReference) => void;
  /** Whether a container that has a lease, and whose init has ended, is still there. */
  readonly holds: (lease: Lease) => boolean;
}

/** Name of the container's end. */
const INTERFACE = 'eth0';
/** With "tsrun" in front they fit into IFNAMSIZ. */
const LINK_BYTES = 4;

/** Gives a container an address on the bridge, and makes the bridge where there is none. Errors: `host`, `unsupported`. */
export async function connectToBridge(request: BridgeRequest): Promise<BridgeReference> {
  requireNft();
  const namespace = networkNamespaceOf('self');
  using leases = await Leases.open(namespace);
  using host = Netlink.open();
  reclaim(leases, host, request.holds);
  const members = leases.list();
  const conflict = portConflict(request.publish, members);
  if (conflict !== undefined) throw new TsrunError('host', `publish port ${conflict}`, { errno: 'EADDRINUSE' });
  const range = findBridge(host)?.range ?? newRange(host);
  const chosen = chooseAddress(range, new Set(members.map(({ address }) => parseAddress(address) ?? 0)));
  if (chosen === undefined)
    throw new TsrunError('host', `network "bridge": all ${members.length} addresses of ${printRange(range)} are taken`);
  const link = `tsrun${randomBytes(LINK_BYTES).toString('hex')}`;
  const reference = { namespace, link, address: printAddress(chosen) };
  request.remember(reference);
  const { id, directory, init, publish } = request;
  leases.add({ id, directory, init, publish, link, address: reference.address });
  const bridge = ensureBridge(host, range);
  connect(host, { bridge, range, link, address: chosen }, request);
  await runNft(planRules(range, leases.list()));
  return reference;
}

/** Takes a container's place away, and the bridge with the last of them. What is gone is fine. Errors: `host`. */
export async function disconnectFromBridge(
  { namespace, link, address }: BridgeReference,
  holds: BridgeRequest['holds'],
): Promise<void> {
  using leases = await Leases.open(namespace);
  leases.remove({ address, link });
  // From elsewhere there is nothing to be seen of it: its devices end with the container's namespace.
  if (networkNamespaceOf('self') !== namespace) return;
  using host = Netlink.open();
  removeLink(host, link);
  reclaim(leases, host, holds);
  const members = leases.list();
  const bridge = findBridge(host);
  // There are no rules without it.
  if (bridge === undefined) return;
  if (members.length > 0) {
    if (bridge.range !== undefined) await runNft(planRules(bridge.range, members));
    return;
  }
  try {
    await runNft(REMOVE_TABLE);
  } finally {
    removeLink(host, BRIDGE);
  }
}

/** A lease without a container: its state directory was removed by other means than `delete`. */
function reclaim(leases: Leases, host: Netlink, holds: BridgeRequest['holds']): void {
  for (const lease of leases.list()) {
    if (holds(lease)) continue;
    removeLink(host, lease.link);
    leases.remove(lease);
  }
}

interface Bridge {
  /** By its address; undefined where it has none yet. */
  readonly range: Range | undefined;
}

/** The bridge that tsrun has made; undefined when there is none. Errors: `host` where the name is that of another device. */
function findBridge(host: Netlink): Bridge | undefined {
  const link = findLink(host, BRIDGE);
  if (link === undefined) return undefined;
  const address = addressOf(host, link);
  const range = address === undefined ? undefined : rangeOf(address);
  if (range !== undefined && gatewayOf(range) === address) return { range };
  if (address === undefined) return { range: undefined };
  throw new TsrunError('host', `network "bridge": there is a device ${JSON.stringify(BRIDGE)} that tsrun has not made`);
}

function addressOf(host: Netlink, bridge: Link): number | undefined {
  const own = listPermanentAddresses(host, bridge).find(({ family }) => family === AF_INET);
  return own?.values.get(IFA_LOCAL)?.readUInt32BE(0);
}

function newRange(host: Netlink): Range {
  const names = new Map(listLinks(host).map(({ index, name }) => [index, name]));
  const routes = listIpv4Routes(host).map((route) => ({ ...route, device: names.get(route.deviceIndex) ?? '' }));
  const range = chooseRange(routes);
  if (range !== undefined) return range;
  const all = RANGES.map(printRange).join(', ');
  throw new TsrunError('host', `network "bridge": the host has routes into ${all}, and there is no other network`);
}

/** Whatever of it is missing: a killed tsrun may have made a part. */
function ensureBridge(host: Netlink, range: Range): Link {
  if (findLink(host, BRIDGE) === undefined) createBridge(host, { name: BRIDGE, address: newHardwareAddress() });
  const bridge = requireLink(host, BRIDGE);
  if (addressOf(host, bridge) === undefined) addAddress(host, bridge, linkAddress(gatewayOf(range), range));
  setLinkUp(host, bridge);
  ensureSetting(`/proc/sys/net/ipv4/conf/${BRIDGE}/route_localnet`);
  ensureSetting('/proc/sys/net/ipv4/ip_forward');
  return bridge;
}

/** One that somebody has chosen (the second bit), and not of a group (the first). */
function newHardwareAddress(): Buffer {
  return Buffer.concat([Buffer.from([2]), randomBytes(5)]);
}

/** Written only where it is not so already: /proc may be read-only. */
function ensureSetting(file: string): void {
  if (readFileSync(file, 'latin1').trim() !== '1') writeKernelFile(file, '1');
}

interface Place {
  readonly bridge: Link;
  readonly range: Range;
  readonly link: string;
  readonly address: number;
}

function connect(host: Netlink, { bridge, range, link, address }: Place, { init, socket }: BridgeRequest): void {
  using container = new Netlink(duplicateAbove(socket.number, 3));
  using namespace = openFile(`/proc/${init.pid}/ns/net`, O_RDONLY);
  try {
    const peer = { name: INTERFACE, namespaceFd: namespace.number };
    createVethPair(host, { name: link, master: bridge, peer });
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error;
    const message = `network "bridge": the container has a network device ${JSON.stringify(INTERFACE)} already`;
    throw new TsrunError('host', message, { errno: 'EEXIST', cause: error });
  }
  const inside = requireLink(container, INTERFACE);
  addAddress(container, inside, linkAddress(address, range));
  setLinkUp(container, inside);
  const port = requireLink(host, link);
  setHairpin(host, port);
  setLinkUp(host, port);
  addDefaultRoute(container, gatewayOf(range));
}

function requireLink(netlink: Netlink, name: string): Link {
  const link = findLink(netlink, name);
  if (link === undefined) throw TsrunError.of('host', `look for network device ${JSON.stringify(name)}`, 'ENODEV');
  return link;
}

function linkAddress(address: number, range: Range) {
  const values = new Map([
    [IFA_LOCAL, bytesOf(address)],
    [IFA_BROADCAST, bytesOf(broadcastOf(range))],
  ]);
  return { family: AF_INET, prefixLength: range.prefixLength, flags: 0, values };
}

function bytesOf(address: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(address);
  return bytes;
}
