import { call } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import type { Config } from '../../spec/generated/config.ts';
import { pointerTo } from '../../spec/pointer.ts';
import { AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW } from '../../util/constants.ts';
import type { PlanContext } from '../base/context.ts';
import { replyWithDescriptors } from '../base/reply.ts';
import { withHandle } from '../base/with-handle.ts';

/** A network device of the host that becomes the container's. */
export interface NetDeviceMove {
  readonly hostName: string;
  /** May hold one `%d`, for which the kernel puts the first free number. */
  readonly name: string;
  readonly pointer: string;
}

const POINTER = '/linux/netDevices';

/** config-linux.md, "Network Devices": in the order of the file. */
export function planNetDevices({ linux }: Config): NetDeviceMove[] {
  return Object.entries(linux?.netDevices ?? {}).map(([hostName, { name = '' }]) => ({
    hostName,
    name: name === '' ? hostName : name,
    pointer: pointerTo(POINTER, hostName),
  }));
}

/**
 * Init opens a netlink socket in its network namespace and hands it to the parent: only a process that is inside can make one,
 * and Node cannot enter. The program ends with this reply, behind which init closes its own descriptor.
 */
export function planNetlinkSocket(context: PlanContext): Step[] {
  const options = {
    label: 'open a netlink socket for the network devices',
    ...(context.options.isConnected !== true && { pointer: POINTER }),
  };
  return withHandle(
    context,
    {
      name: 'netlink socket',
      open: (socket) => [call('socket', [AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0], { ...options, result: socket })],
    },
    (socket) => replyWithDescriptors(context.descriptors, 'network', 'wait for the network devices', [socket]),
  );
}
