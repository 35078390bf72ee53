import type { Config, Mount } from '../spec/generated/config.ts';

/** What a program is told of the service manager that tsrun was started by: sd_listen_fds(3) and sd_notify(3). */

/** Name of the socket in its directory. */
export const NOTIFY_SOCKET_NAME = 'notify.sock';
/** Where that directory appears in a container. */
const NOTIFY_DIRECTORY = '/run/notify';

/** A config that also mounts the directory of the notify socket, which nobody in the container can change. */
export function withNotifyMount(config: Config, hostDirectory: string): Config {
  const mount: Mount = {
    destination: NOTIFY_DIRECTORY,
    type: 'bind',
    source: hostDirectory,
    options: ['bind', 'nosuid', 'noexec', 'nodev', 'ro'],
  };
  return { ...config, mounts: [...(config.mounts ?? []), mount] };
}

/**
 * Variables that come on top of those of the config. Shape: `NAME=value`.
 *
 * `pid` is the number under which the program knows itself: by it the protocol tells who is meant.
 */
export function serviceEnvironment(options: {
  readonly listenFds: number;
  readonly pid: number;
  readonly notifies: boolean;
}): string[] {
  const { listenFds, pid, notifies } = options;
  return [
    ...(listenFds > 0 ? [`LISTEN_FDS=${listenFds}`, `LISTEN_PID=${pid}`] : []),
    ...(notifies ? [`NOTIFY_SOCKET=${NOTIFY_DIRECTORY}/${NOTIFY_SOCKET_NAME}`] : []),
  ];
}

/** Whether a datagram of sd_notify(3) has the line that says that the program is ready. */
export function saysReady(datagram: string): boolean {
  return datagram.split('\n').includes('READY=1');
}
