import { TsrunError } from '../../errors.ts';
import type { NetDeviceMove } from '../../plan/namespaces/net-devices.ts';
import { duplicateAbove, type OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { Netlink } from '../../sys/netlink.ts';
import {
  addAddress,
  findLink,
  listLinks,
  listPermanentAddresses,
  moveLink,
  setLinkUp,
  type Link,
} from '../../sys/network-links.ts';
import { O_RDONLY } from '../../util/constants.ts';

/**
 * Moves network devices of this network namespace into the container's: checks the names, keeps the permanent global addresses,
 * brings them up (config-linux.md, "Network Devices").
 *
 * They are never moved back: when the container's namespace ends, the kernel gives a physical device back and removes a virtual
 * one. `socket` is a netlink socket that init has opened; it stays the caller's. Errors: `host` with the pointer in the message.
 */
export function moveNetDevices(
  moves: readonly NetDeviceMove[],
  { pid, socket }: { readonly pid: number; readonly socket: OwnedFd },
): void {
  using host = Netlink.open();
  using container = new Netlink(duplicateAbove(socket.number, 3));
  using namespace = openFile(`/proc/${pid}/ns/net`, O_RDONLY);
  for (const move of moves) {
    try {
      moveOne(move, { host, container, namespaceFd: namespace.number });
    } catch (error) {
      if (!(error instanceof TsrunError)) throw error;
      const { errno } = error;
      throw new TsrunError('host', error.message, {
        pointer: move.pointer,
        cause: error,
        ...(errno === undefined ? {} : { errno }),
      });
    }
  }
}

interface Places {
  readonly host: Netlink;
  readonly container: Netlink;
  readonly namespaceFd: number;
}

function moveOne({ hostName, name }: NetDeviceMove, { host, container, namespaceFd }: Places): void {
  const action = `move network device ${JSON.stringify(hostName)}`;
  const link = findLink(host, hostName);
  if (link === undefined) throw TsrunError.of('host', `${action}: there is none of this name`, 'ENODEV');
  // The kernel would find out only after the move.
  if (!name.includes('%d') && findLink(container, name) !== undefined) {
    throw TsrunError.of('host', `${action}: the container has one with the name ${JSON.stringify(name)}`, 'EEXIST');
  }
  const addresses = listPermanentAddresses(host, link);
  const before = new Set(listLinks(container).map(({ index }) => index));
  moveLink(host, link, { namespaceFd, name });
  const moved = findMoved(listLinks(container), { before, name });
  for (const address of addresses) addAddress(container, moved, address);
  setLinkUp(container, moved);
}

/** The index may be another there, and the name one that the kernel has chosen. */
function findMoved(links: readonly Link[], { before, name }: { before: ReadonlySet<number>; name: string }): Link {
  const isIt = (link: Link): boolean => link.name === name || (name.includes('%d') && !before.has(link.index));
  const moved = links.find(isIt);
  if (moved === undefined)
    throw new TsrunError('host', `move network device into the container as ${JSON.stringify(name)}: it is not there`);
  return moved;
}
