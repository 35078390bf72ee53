import { call } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import { AF_INET, IFF_UP, SIOCSIFFLAGS, SOCK_CLOEXEC, SOCK_DGRAM } from '../../util/constants.ts';
import { hasNewNamespace, type PlanContext } from '../base/context.ts';
import { withHandle } from '../base/with-handle.ts';
import { ifreqFlags } from '../../program/structs.ts';

const POINTER = '/linux/namespaces';

/**
 * Brings `lo` of a new network namespace up; a joined one is left as it is.
 *
 * SIOCSIFFLAGS sets all flags at once, but of those that it can change a new `lo` has none, so nothing is read first.
 * Source: man 7 netdevice; __dev_change_flags() of net/core/dev.c.
 */
export function planLoopback(context: PlanContext): Step[] {
  if (!hasNewNamespace(context.config, 'network')) return [];
  const options = { label: 'open a socket to bring "lo" up', pointer: POINTER };
  return withHandle(
    context,
    {
      name: 'socket',
      open: (socket) => [call('socket', [AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0], { ...options, result: socket })],
    },
    (socket) => [
      call('ioctl', [socket, SIOCSIFFLAGS, ifreqFlags('lo', IFF_UP, 'IFF_UP')], {
        label: 'bring "lo" up',
        pointer: POINTER,
      }),
    ],
  );
}
