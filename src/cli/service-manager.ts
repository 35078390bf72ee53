import type { Surroundings } from './surroundings.ts';
import { mostDescriptors } from './options/values.ts';

/**
 * How many sockets the service manager hands to this process (sd_listen_fds(3)): descriptors 3 and up. 0 when the variables are
 * not there, make no sense, or are meant for another process, which left them in its environment.
 */
export function readListenFds({ environment, pid }: Surroundings): number {
  const { LISTEN_FDS: count = '', LISTEN_PID: meant } = environment;
  if (meant !== String(pid) || !/^\d{1,7}$/.test(count)) return 0;
  return Number(count) > mostDescriptors ? 0 : Number(count);
}

/** The socket of the service manager (sd_notify(3)): a path or an abstract name behind `@`; of other forms there is none here. */
export function readNotifySocket({ environment }: Surroundings): string | undefined {
  const { NOTIFY_SOCKET: socket = '' } = environment;
  return /^[/@]./.test(socket) ? socket : undefined;
}

/** The former as an option of an operation that makes a process. */
export function readListenOption(surroundings: Surroundings): { listenFds?: number } {
  const listenFds = readListenFds(surroundings);
  return listenFds > 0 ? { listenFds } : {};
}
