import type { CreateOptions } from '../container/store/options.ts';
import type { Surroundings } from './surroundings.ts';
import { mostDescriptors, readPreserveFds } from './options/values.ts';

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

/** The descriptors from 3 on that a program inherits: the sockets first, then those of `--preserve-fds`. Errors: `usage`. */
export function readInherited(
  preserveFds: string | undefined,
  surroundings: Surroundings,
): Pick<CreateOptions, 'preserved' | 'listenFds'> {
  const listenFds = readListenFds(surroundings);
  const preserved = preservedDescriptors(listenFds + readPreserveFds(preserveFds));
  return { preserved, ...(listenFds > 0 && { listenFds }) };
}

/** The numbers of this process, and of the program, of as many descriptors. */
export function preservedDescriptors(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => 3 + index);
}
